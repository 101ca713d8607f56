import { isObject, type Json, type JsonObject } from "../rule/json";
import { at, keepId, type Place } from "../rule/place";
import type { PlacedProblem } from "./edit";

/** What the hint proposes for the text at fault: the value, a word of it, or a key. */
export function repairOf(draft: Json, problem: PlacedProblem): { place: Place; value: Json; text: string } | undefined {
  const proposed = /[Dd]id you mean "((?:[^"\\]|\\.)+)"\?/.exec(problem.hint ?? "")?.[1];
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
