// Two people changed the same cohort: what each did, condition by condition, and both together where they do not meet.
import { print, same, type Json } from "../rule/json";
import { at } from "../rule/place";
import { groupOf, headOf } from "../rule/tree";

export interface Changes { added: Json[]; removed: Json[] }

function parts(rule: Json): { mode: string; kids: Json[]; head: Json } {
  const group = groupOf(rule);
  if (!group) return { mode: "all", kids: rule === null ? [] : [bodyOnly(rule)], head: headOf(rule) };
  return { mode: group.mode, kids: group.kids.map(kid => at(rule, kid) ?? null), head: headOf(rule) };
}

function bodyOnly(rule: Json): Json {
  const head = headOf(rule);
  return Object.fromEntries(Object.entries(rule as Record<string, Json>).filter(([key]) => !(key in head)));
}

export function changesOf(before: Json, after: Json): Changes {
  const from = parts(before).kids, to = parts(after).kids;
  const missing = (list: Json[], item: Json) => !list.some(each => same(each, item));
  return { added: to.filter(item => missing(from, item)), removed: from.filter(item => missing(to, item)) };
}

/** Theirs with what mine changed, or undefined where both changed the same condition, the way of combining or the head. */
export function merge(base: Json, mine: Json, theirs: Json): Json | undefined {
  const [b, m, t] = [parts(base), parts(mine), parts(theirs)];
  if (b.mode !== m.mode || b.mode !== t.mode || !same(b.head, m.head) || !same(b.head, t.head)) return undefined;
  const own = changesOf(base, mine), other = changesOf(base, theirs);
  if (own.removed.some(item => other.removed.some(each => same(each, item)))) return undefined;
  const kids = [...t.kids.filter(item => !own.removed.some(each => same(each, item))), ...own.added.filter(item => !t.kids.some(each => same(each, item)))];
  if (kids.length === 0) return undefined;
  const written: Record<string, Json> = b.mode === "all" ? { and: kids } : b.mode === "any" ? { or: kids } : { not: { or: kids } };
  return { ...(b.head as Record<string, Json>), ...written };
}

export function differs(a: Json, b: Json): boolean {
  return !same(a, b) && print(a) !== print(b);
}
