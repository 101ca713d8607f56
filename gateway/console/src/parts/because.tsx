// Why a run would remove many members: what changed in the cohort since the last run, or in the events that it goes by.
import { cohortPath, get, post, type EventType, type List, type Preview, type Version } from "../api";
import { changesOf } from "../builder/merge";
import { Words } from "../builder/words";
import { isObject, type Json } from "../rule/json";
import { bodyOf, headOf } from "../rule/tree";
import { conditionInWords } from "../rule/words";
import { useLoad } from "../state";
import { because as t, count, moment } from "../texts";

interface Found { now?: Version; before?: Version; lost?: number | null; silent?: { type: string; since: string } }

/** The types of events that a rule names. */
export function eventTypesOf(rule: Json): string[] {
  if (Array.isArray(rule)) return [...new Set(rule.flatMap(eventTypesOf))];
  if (!isObject(rule)) return [];
  const own = [rule.did, rule.did_not].flat().filter((each): each is string => typeof each === "string" && each !== "*");
  return [...new Set([...own, ...Object.values(rule).flatMap(eventTypesOf)])];
}

/** The last day with events of a type that came before and has none of late; days are oldest first. */
export function silentSince(days: EventType["days"]): string | undefined {
  const last = days.map(each => each.events > 0).lastIndexOf(true);
  return last >= 0 && last < days.length - 2 ? days[last]?.day : undefined;
}

async function find(cohort: string, since: string, signal: AbortSignal): Promise<Found> {
  const { items } = await get<List<Version>>(cohortPath(cohort, "/versions"), signal);
  const before = items.find(each => Date.parse(each.changed_at) <= Date.parse(since));
  const now = items[0];
  if (now && before && now !== before) {
    if (now.rule === null || before.rule === null) return { now, before };
    const rule: Json = { ...headOf(now.rule), and: [bodyOf(before.rule), { not: bodyOf(now.rule) }] };
    const { size } = await post<Preview>("/v1/preview", { rule, sample: 0, sql: false }, signal);
    return { now, before, lost: size };
  }
  const types = now ? eventTypesOf(now.rule) : [];
  if (types.length === 0) return {};
  const { items: all } = await get<List<EventType>>("/v1/event-types?days=14", signal);
  for (const { event_type: type, days } of all.filter(each => types.includes(each.event_type))) {
    const last = silentSince(days);
    if (last !== undefined) return { silent: { type, since: last } };
  }
  return {};
}

export function Because({ cohort, since }: { cohort: string; since: string }) {
  const found = useLoad(`because ${cohort} ${since}`, signal => find(cohort, since, signal));
  if (found.data === undefined) return null;
  const { now, before, lost, silent } = found.data;
  const changes = now && before && now.rule !== null && before.rule !== null ? changesOf(before.rule, now.rule) : null;
  return (
    <div>
      <h3>{t.title}</h3>
      {now && before ? (
        <>
          <p>{t.version(now.version, now.changed_by, moment(now.changed_at))}{!changes && ` ${t.list(count(before.list_size ?? 0), count(now.list_size ?? 0))}`}</p>
          {changes && <ul class="stack tight">{changes.removed.map((each, i) => <li key={`r${i}`}><del><Words pieces={conditionInWords(each)} /></del></li>)}{changes.added.map((each, i) => <li key={`a${i}`}><ins><Words pieces={conditionInWords(each)} /></ins></li>)}</ul>}
          {typeof lost === "number" && <p>{t.alone(count(lost))}</p>}
        </>
      ) : <p>{silent ? t.silent(silent.type, silent.since) : t.unchanged}</p>}
    </div>
  );
}
