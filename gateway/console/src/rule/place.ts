// Places in a rule, as the database names them in problems and in cohort_explain: $.and[0].where[1].operator
import { isObject, type Json, type JsonObject } from "./json";

export type Step = string | number;
export type Place = readonly Step[];

export function placeText(place: Place): string {
  return place.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(step) ? `${text}.${step}` : `${text}[${JSON.stringify(step)}]`;
  }, "$");
}

export function readPlace(text: string): Place {
  const steps: Step[] = [];
  const pattern = /\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/g;
  for (const match of text.matchAll(pattern)) {
    if (match[1] !== undefined) steps.push(match[1]);
    else if (match[2] !== undefined) steps.push(Number(match[2]));
    else if (match[3] !== undefined) steps.push(JSON.parse(match[3]) as string);
  }
  return steps;
}

export function samePlace(a: Place, b: Place): boolean {
  return a.length === b.length && a.every((step, i) => step === b[i]);
}

export function isBelow(place: Place, above: Place): boolean {
  return place.length >= above.length && above.every((step, i) => step === place[i]);
}

export function at(value: Json | undefined, place: Place): Json | undefined {
  let found: Json | undefined = value;
  for (const step of place) {
    if (Array.isArray(found)) found = typeof step === "number" ? found[step] : undefined;
    else if (isObject(found)) found = found[step];
    else return undefined;
  }
  return found;
}

/** A copy of `value` with `next` at the place; undefined removes the key or the item. */
export function put(value: Json | undefined, place: Place, next: Json | undefined): Json | undefined {
  const [step, ...rest] = place;
  if (step === undefined) return next;
  if (typeof step === "number") {
    const copy = Array.isArray(value) ? [...value] : [];
    const inner = put(copy[step], rest, next);
    if (inner === undefined) copy.splice(step, 1);
    else copy[step] = inner;
    return keepId(value, copy);
  }
  const copy: JsonObject = isObject(value) ? { ...value } : {};
  const inner = put(copy[step], rest, next);
  if (inner === undefined) delete copy[step];
  else copy[step] = inner;
  return keepId(value, copy);
}

// Each object of a draft has a number by which lists of the form keep their rows apart. A changed copy inherits it.
const ids = new WeakMap<object, number>();
let last = 0;

export function idOf(value: Json): number {
  if (typeof value !== "object" || value === null) return 0;
  let id = ids.get(value);
  if (id === undefined) {
    id = ++last;
    ids.set(value, id);
  }
  return id;
}

export function keepId<T extends Json>(from: Json | undefined, to: T): T {
  if (typeof from === "object" && from !== null && typeof to === "object" && to !== null) ids.set(to, idOf(from));
  return to;
}
