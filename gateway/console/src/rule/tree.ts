// The tree of conditions: groups, numbers, and what can be done with a condition. A draft is a rule in which conditions that
// are left out for now stand as {"$out": condition}; null is a draft without a condition.
import { isObject, type Json, type JsonObject } from "./json";
import { conditionKind, groupKey, HEAD_KEYS, isOut } from "./kinds";
import { at, idOf, isBelow, keepId, put, type Place, type Step } from "./place";

export type Mode = "all" | "any" | "none";
export interface Group { mode: Mode; kids: Place[] }

export function headOf(rule: Json): JsonObject {
  return isObject(rule) ? Object.fromEntries(Object.entries(rule).filter(([key]) => HEAD_KEYS.includes(key))) as JsonObject : {};
}

export function bodyOf(rule: Json): Json {
  if (!isObject(rule)) return rule;
  return Object.fromEntries(Object.entries(rule).filter(([key]) => !HEAD_KEYS.includes(key))) as JsonObject;
}

export function groupOf(condition: Json | undefined): Group | undefined {
  if (!isObject(condition) || conditionKind(condition) !== "group") return undefined;
  const list = (value: Json, place: Place) => (value as Json[]).map((_, i) => [...place, i]);
  if (condition.and) return { mode: "all", kids: list(condition.and, ["and"]) };
  if (condition.or) return { mode: "any", kids: list(condition.or, ["or"]) };
  const inner = condition.not;
  if (isObject(inner) && Object.keys(inner).length === 1 && Array.isArray(inner.or)) return { mode: "none", kids: list(inner.or, ["not", "or"]) };
  return { mode: "none", kids: [["not"]] };
}

function written(mode: Mode, kids: Json[]): JsonObject {
  switch (mode) {
    case "all": return { and: kids };
    case "any": return { or: kids };
    case "none": return { not: { or: kids } };
  }
}

export interface Numbered { no: string; place: Place; value: Json }

/** Every condition of the draft with its number: 1, 2, 2.1. The top group has none. */
export function numbered(draft: Json): Numbered[] {
  const found: Numbered[] = [];
  const walk = (place: Place, no: string) => {
    let value = at(draft, place);
    if (value === undefined) return;
    found.push({ no, place, value });
    if (isOut(value)) {
      place = [...place, "$out"];
      value = value.$out;
    }
    below(value, place, `${no}.`);
  };
  const below = (value: Json, place: Place, prefix: string) => {
    const group = groupOf(value);
    if (group) group.kids.forEach((kid, i) => walk([...place, ...kid], `${prefix}${i + 1}`));
    else for (const slot of slotsOf(value)) walk([...place, slot], `${prefix}1`);
  };
  if (draft === null) return found;
  if (groupOf(draft)) below(draft, [], "");
  else walk([], "1");
  return found;
}

/** The keys of a condition that hold another condition, other than groups. */
export function slotsOf(condition: Json): Step[] {
  if (!isObject(condition)) return [];
  const kind = conditionKind(condition);
  if (kind === "group of customers") return [groupKey(condition) ?? "any"];
  return kind === "rank" && condition.of !== undefined ? ["of"] : [];
}

/** The condition that a place belongs to, at whichever depth. */
export function conditionAt(draft: Json, place: Place): Numbered | undefined {
  return numbered(draft).filter(each => isBelow(place, each.place)).sort((a, b) => b.place.length - a.place.length)[0];
}

export function addTo(draft: Json, group: Place, condition: Json): Json {
  if (draft === null) return { and: [condition] };
  const target = at(draft, group);
  const found = groupOf(target);
  if (!found || target === undefined) {
    const head = group.length === 0 ? headOf(draft) : {};
    const body = group.length === 0 ? bodyOf(draft) : target ?? null;
    return put(draft, group, { ...head, and: [keepId(target, body), condition] }) ?? null;
  }
  return replaceKids(draft, group, found.mode, [...kidsOf(draft, group, found), condition]);
}

function kidsOf(draft: Json, place: Place, group: Group): Json[] {
  return group.kids.map(kid => at(draft, [...place, ...kid]) ?? null);
}

function replaceKids(draft: Json, place: Place, mode: Mode, kids: Json[]): Json {
  const target = at(draft, place);
  const head = place.length === 0 ? headOf(draft) : {};
  return put(draft, place, keepId(target, { ...head, ...written(mode, kids) })) ?? null;
}

export function setMode(draft: Json, place: Place, mode: Mode): Json {
  const group = groupOf(at(draft, place));
  if (group) return group.mode === mode ? draft : replaceKids(draft, place, mode, kidsOf(draft, place, group));
  const whole = at(draft, place);
  const body = place.length === 0 ? bodyOf(draft) : whole;
  return whole === undefined || body === undefined || mode === "all" ? draft : replaceKids(draft, place, mode, [body]);
}

export function remove(draft: Json, place: Place): Json {
  const key = place.at(-1);
  const above = place.slice(0, -1);
  if (key === undefined) return null;
  if (key === "$out" || key === "not") return remove(draft, above);
  if (typeof key === "number") {
    const list = at(draft, above);
    if (Array.isArray(list) && list.length > 1) return put(draft, place, undefined) ?? null;
    return remove(draft, above.slice(0, -1));
  }
  return put(draft, place, undefined) ?? null;
}

/** Whether a condition stands where it can be removed, moved and left out: not the one that a group of customers needs. */
export function isFree(place: Place): boolean {
  const key = place.at(-1);
  return key === undefined || typeof key === "number" || key === "not" || key === "of";
}

export function duplicate(draft: Json, place: Place): { draft: Json; place: Place } {
  const value = at(draft, place);
  const key = place.at(-1);
  const copy = structuredCopy(place.length === 0 ? bodyOf(draft) : value ?? null);
  if (typeof key === "number") {
    const list = at(draft, place.slice(0, -1)) as Json[];
    const longer = keepId(list, [...list.slice(0, key + 1), copy, ...list.slice(key + 1)]);
    return { draft: put(draft, place.slice(0, -1), longer) ?? null, place: [...place.slice(0, -1), key + 1] };
  }
  if (key === "not") return { draft: addTo(draft, place.slice(0, -1), copy), place: [...place, "or", 1] };
  return { draft: addTo(draft, place, copy), place: [...place, "and", 1] };
}

function structuredCopy(value: Json): Json {
  if (Array.isArray(value)) return value.map(structuredCopy);
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, structuredCopy(item)])) as JsonObject;
  return value;
}

export function wrap(draft: Json, place: Place): { draft: Json; place: Place } {
  const value = at(draft, place);
  if (value === undefined || value === null) return { draft, place };
  if (place.length === 0) return { draft: { ...headOf(draft), or: [bodyOf(draft)] }, place: ["or", 0] };
  return { draft: put(draft, place, { or: [value] }) ?? null, place: [...place, "or", 0] };
}

export function oppositeOf(condition: Json): Json {
  if (!isObject(condition)) return condition;
  const rename = (from: string, to: string) =>
    keepId(condition, Object.fromEntries(Object.entries(condition).map(([key, item]) => [key === from ? to : key, item])) as JsonObject);
  if ("did" in condition) return rename("did", "did_not");
  if ("did_not" in condition) return rename("did_not", "did");
  if (isObject(condition.not)) return { ...headOf(condition), ...(bodyOf(condition.not) as JsonObject) };
  return { ...headOf(condition), not: bodyOf(condition) };
}

export function opposite(draft: Json, place: Place): Json {
  const value = at(draft, place);
  return value === undefined ? draft : put(draft, place, oppositeOf(value)) ?? null;
}

export function leaveOut(draft: Json, place: Place): Json {
  const value = at(draft, place);
  if (value === undefined) return draft;
  if (isOut(value)) return put(draft, place, value.$out) ?? null;
  if (place.length === 0) return { ...headOf(draft), and: [{ $out: bodyOf(draft) }] };
  return put(draft, place, keepId(value, { $out: value })) ?? null;
}

export function move(draft: Json, place: Place, by: 1 | -1): { draft: Json; place: Place } {
  const key = place.at(-1);
  const above = place.slice(0, -1);
  const list = at(draft, above);
  if (typeof key !== "number" || !Array.isArray(list) || list[key + by] === undefined) return { draft, place };
  const moved = [...list];
  moved.splice(key, 1);
  moved.splice(key + by, 0, list[key] as Json);
  return { draft: put(draft, above, keepId(list, moved)) ?? null, place: [...above, key + by] };
}

// Lists of a stripped rule that are shorter than the draft's, with the draft's position of each item.
const positions = new WeakMap<object, number[]>();

/** The rule of a draft: without what is left out. A draft that leaves nothing out is its own rule. */
export function ruleOf(draft: Json): Json {
  return strip(draft) ?? null;
}

function strip(value: Json): Json | undefined {
  if (isOut(value)) return undefined;
  if (Array.isArray(value)) {
    const kept = value.map((item, i) => [strip(item), i] as const).filter((pair): pair is readonly [Json, number] => pair[0] !== undefined);
    if (kept.length === value.length && kept.every(([item, i]) => item === value[i])) return value;
    const list = kept.map(([item]) => item);
    positions.set(list, kept.map(([, i]) => i));
    return list;
  }
  if (!isObject(value)) return value;
  let changed = false;
  const copy: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const next = strip(item);
    const emptied = Array.isArray(next) && next.length === 0 && Array.isArray(item) && item.length > 0;
    if ((next === undefined || emptied) && ["and", "or", "not", "any", "all", "none"].includes(key)) return undefined;
    changed ||= next !== item;
    if (next !== undefined) copy[key] = next;
  }
  return changed ? copy : value;
}

/** The place in the draft of a place in its rule. */
export function draftPlace(rule: Json, place: Place): Place {
  let value: Json | undefined = rule;
  return place.map(step => {
    const known: number[] | undefined = Array.isArray(value) ? positions.get(value) : undefined;
    value = at(value, [step]);
    return typeof step === "number" && known ? known[step] ?? step : step;
  });
}

export { idOf };
