// What a new condition says before anybody changes it: something that the database can count at once.
import type { Json } from "../rule/json";
import type { Vocabulary } from "./edit";

export const NEW_KINDS = ["did", "did_not", "profile", "cohort", "sequence", "group", "compare", "rank", "sample", "household", "listed"] as const;
export type NewKind = (typeof NEW_KINDS)[number];

export function newCondition(kind: NewKind, { events, properties, cohorts }: Vocabulary): Json {
  const usual = [...events].sort((a, b) => (b.events ?? 0) - (a.events ?? 0));
  const event = (usual.find(each => each.event_type === "purchase" && each.events) ?? usual[0])?.event_type ?? "*";
  const next = usual.find(each => each.event_type !== event && each.events)?.event_type ?? event;
  const profile = properties.find(each => each.event_type === null && each.examples.length > 0) ?? properties.find(each => each.event_type === null);
  const number = properties.find(each => each.event_type === event && each.types.includes("number"))?.property;
  const figure = (time: Json): Json => ({ did: event, time, ...(number === undefined ? {} : { aggregate: { fn: "sum", property: number } }) });
  switch (kind) {
    case "did": return { did: event };
    case "did_not": return { did_not: event, time: { in_the_last: "30 days" } };
    case "profile": return { profile: profile?.property ?? "city", operator: "exists" };
    case "cohort": return { cohort: cohorts[0] ?? "" };
    case "sequence": return { sequence: [{ did: next }, { did: event }], within: "7 days" };
    case "group": return { or: [{ did: event }] };
    case "compare": return { compare: figure({ this: "month" }), operator: "lt", to: figure({ previous: "month" }) };
    case "rank": return { rank: figure({ in_the_last: "1 year" }), order: "most", top: 1000 };
    case "sample": return { sample: { percent: [0, 10], salt: "spring" } };
    case "household": return { group: "household", any: { did: event } };
    case "listed": return { customer_in: { table: "", column: "customer_id" } };
  }
}
