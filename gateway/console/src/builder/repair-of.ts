import { isObject, type Json, type JsonObject } from "../rule/json";
import { at, keepId, type Place } from "../rule/place";
import type { PlacedProblem } from "./edit";

/** What the hint proposes for the text at fault: the value, a word of it, or a key. */
export function repairOf(draft: Json, problem: PlacedProblem): { place: Place; value: Json; text: string } | undefined {
  const unit = /unknown unit "([^"]+)"/.exec(problem.problem)?.[1];
  const proposed = /[Dd]id you mean "((?:[^"\\]|\\.)+)"\?/.exec(problem.hint ?? "")?.[1] ?? (unit === undefined ? undefined : nearest(unit, LENGTH_UNITS));
  const key = problem.place.at(-1);
  if (proposed === undefined || key === undefined) return undefined;
  const value = at(draft, problem.place);
  if (/unknown key/.test(problem.problem) && typeof key === "string") {
    const above = problem.place.slice(0, -1);
    const holder = at(draft, above);
    if (!isObject(holder) || proposed in holder) return undefined;
    const renamed = Object.fromEntries(Object.entries(holder).map(([each, item]) => [each === key ? proposed : each, item])) as JsonObject;
    return { place: above, value: keepId(holder, renamed), text: proposed };
  }
  if (typeof value !== "string") return undefined;
  const wrong = [...problem.problem.matchAll(/"((?:[^"\\]|\\.)+)"/g)].map(match => match[1] ?? "").find(each => each !== value && value.includes(each));
  const mended = wrong === undefined ? proposed : value.replace(wrong, proposed);
  return mended === value ? undefined : { place: problem.place, value: mended, text: mended };
}

const LENGTH_UNITS = ["second", "minute", "hour", "day", "week", "month", "year"].flatMap(unit => [unit, `${unit}s`]);

/** The word at most two letters away, if there is one. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  const [best] = words.map(each => [distance(word, each), each] as const).sort((a, b) => a[0] - b[0]);
  return best && best[0] <= 2 && best[0] < word.length ? best[1] : undefined;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let k = 1; k <= b.length; k++) next.push(Math.min((next[k - 1] ?? 0) + 1, (row[k] ?? 0) + 1, (row[k - 1] ?? 0) + (a[i - 1] === b[k - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length] ?? 0;
}
