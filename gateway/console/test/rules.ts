// The rules that the tests go through: those of the documentation, of every kind, and random ones.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { parse, type Json } from "../src/rule/json";

const root = process.env.ROOT ?? new URL("../../", import.meta.url).pathname;

/** Rules stand in blocks of JSON, one or several in each. */
export function documented(name: string): Json[] {
  const text = readFileSync(`${root}docs/${name}`, "utf8");
  return [...text.matchAll(/```json\n([\s\S]*?)```/g)].flatMap(match => objects(match[1] ?? "")).map(parse);
}

function objects(text: string): string[] {
  const found: string[] = [];
  let depth = 0, start = 0, quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (quoted) {
      if (character === "\\") i++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === "{" && depth++ === 0) start = i;
    else if (character === "}" && --depth === 0) found.push(text.slice(start, i + 1));
  }
  return found;
}

export function random(): Json[] {
  const run = (features: string) =>
    execFileSync("python3", [`${root}tests/model/print_rules.py`, process.env.SEEDS ?? "12", "25"], { encoding: "utf8", env: { ...process.env, FEATURES: features }, maxBuffer: 1 << 28 });
  return (run("all") + run("")).trim().split("\n").map(parse);
}

export const kinds: Json[] = [
  '{"did": "a", "count": {"between": [2, 5]}, "where": {"property": "p", "operator": "is", "value": "true"}}',
  '{"did_not": ["a"], "time": {"weekday": "monday"}}',
  '{"did": "a", "aggregate": {"fn": "most_frequent", "property": "c", "in": ["x", 1, true]}}',
  '{"did": "a", "per": "week", "periods": {"gte": 3, "streak": "current"}, "count": {"gte": 2}}',
  '{"did": "a", "occurrence": {"nth": -2}, "among": [{"property": "c", "operator": "exists"}], "where": {"not": {"property": "d", "operator": "=", "value": 1}}}',
  '{"did": "a", "where": {"or": [{"property": ["a.b", "c"], "operator": "icontains", "value": "1e400"}, {"and": [{"property": "n", "operator": "gt", "value": 9007199254740993}]}]}}',
  '{"did": "a", "where": {"property": "n", "operator": "eq", "value": 100.10}}',
  '{"did": "a", "where": {"property": "n", "operator": "lt", "ref": "profile.budget"}}',
  '{"did": "a", "where": {"property": "n", "operator": "neq", "ref": ["profile", "a.b"], "ignore_case": true}}',
  '{"did": "a", "time": [{"from": {"first": ["b", "c"], "where": [{"property": "x", "operator": "exists"}]}, "within": "7 days"}, {"hours": ["22:00", "06:00"]}]}',
  '{"did": "a", "time": {"until": {"profile": "trial.end"}}}',
  '{"profile": "items", "element": true, "where": [{"element": ".", "where": {"property": ".", "operator": "gte", "value": 2}}]}',
  '{"profile": "city", "operator": "not_in", "value": ["Pune", "", "x\\"y", "[\\"a\\"]"], "ignore_case": true}',
  '{"profile": "dob", "operator": "birthday_in_the_next", "value": "7 days"}',
  '{"sequence": [{"did_not": "z", "within": "1 day"}, {"did": "a", "as": "c", "times": 2}, {"did": "b", "after": "1 hour", "within": "2 days", "where": {"property": "p", "operator": "gt", "ref": "c.p"}}, {"did_not": "a"}], "within": "3 days"}',
  '{"compare": {"did": "a", "aggregate": {"fn": "sum", "property": "p"}, "time": {"this": "quarter"}}, "operator": "lt", "to": {"did": "a", "time": {"previous": "2 quarters"}}, "factor": 0.5, "over": "company"}',
  '{"compare": {"profile": "score"}, "operator": ">=", "to": 1e3}',
  '{"rank": {"did": "a", "aggregate": {"fn": "sum", "property": "p"}}, "order": "most", "top": 1000, "by": "city"}',
  '{"rank": {"profile": "score"}, "order": "least", "percent": [0, 20], "of": {"or": [{"did": "a"}, {"cohort": "x"}]}}',
  '{"group": "household", "any": {"and": [{"did": "a"}, {"not": {"did": "b"}}]}}',
  '{"sample": {"percent": [0, 10.5], "salt": "spring"}}',
  '{"customer_in": {"table": "shop.vip", "column": "id", "where": {"property": "tier", "operator": "eq", "value": "gold"}}}',
  '{"did": "a", "where": {"property": "p", "operator": "in", "rows": {"table": "shop.product", "column": "id"}}}',
  '{"version": 1, "timezone": "Asia/Kolkata", "not": {"or": [{"did": "a"}, {"and": [{"cohort": "b"}]}]}}',
  '{"not": {"and": [{"did": "a"}, {"or": [{"did": "b"}]}]}}',
].map(parse);

/** What the form cannot show: each rule with the places of its blocks. */
export const foreign: [string, string[]][] = [
  ['{"did": "a", "window": 3}', ["$.window"]],
  ['{"and": [{"did": "a"}, {"magic": true}]}', ["$.and[1]"]],
  ['{"did": "a", "where": [{"property": "p", "operator": "almost", "value": 1}], "time": {"around": "noon"}}', ["$.where[0]", "$.time"]],
  ['{"did": 3}', ["$"]],
  ['{"sequence": [{"did": "a", "then": 1}]}', ["$.sequence[0].then"]],
  ['{"rank": {"did": "a", "count": 1}, "order": "most", "top": 3}', ["$.rank"]],
  ['[]', ["$"]],
];
