// What each part of a rule is to the form. A part that the form cannot show whole is "json": it stands as a block of JSON.
import { isObject, isTexts, type Json, type JsonObject } from "./json";
import { findOperator } from "./operators";
import type { Place } from "./place";

export type ConditionKind =
  | "group" | "did" | "profile" | "element" | "cohort" | "sequence" | "compare" | "rank" | "group of customers" | "sample" | "listed" | "json";
export type PredicateKind = "property" | "and" | "or" | "not" | "element" | "json";
export type FigureKind = "events" | "profile" | "number" | "json";
export type AnchorKind = "first" | "last" | "profile" | "json";

/** Keys of the top of a rule that are no part of its condition. */
export const HEAD_KEYS: readonly string[] = ["version", "timezone"];
export const DID_OPTIONS = ["where", "count", "aggregate", "per", "periods", "occurrence", "among", "time"] as const;
export const STEP_OPTIONS = ["where", "as", "time", "occurrence", "among", "within", "after", "times"] as const;
export const TIME_FORMS = [
  "in_the_last", "more_than_ago", "between_ago", "this", "previous", "since", "before", "between", "weekday", "hours", "from", "until",
] as const;
export type TimeForm = (typeof TIME_FORMS)[number];

function only(value: JsonObject, ...keys: readonly string[]): boolean {
  return Object.keys(value).every(key => keys.includes(key));
}

export function isOut(value: Json | undefined): value is { $out: Json } {
  return isObject(value) && "$out" in value;
}

export function isPath(value: Json | undefined): value is string | string[] {
  return typeof value === "string" || (isTexts(value) && value.length > 0);
}

export function isEvent(value: Json | undefined): boolean {
  return typeof value === "string" || (isTexts(value) && value.length > 0);
}

export function conditionKind(value: Json | undefined): ConditionKind {
  if (!isObject(value)) return "json";
  const condition = Object.fromEntries(Object.entries(value).filter(([key]) => !HEAD_KEYS.includes(key))) as JsonObject;
  const keys = Object.keys(condition);
  const first = (key: string) => key in condition;
  if (keys.length === 1 && (Array.isArray(condition.and) || Array.isArray(condition.or) || isObject(condition.not))) return "group";
  if (first("did") !== first("did_not")) return isEvent(condition.did ?? condition.did_not) ? "did" : "json";
  if (first("profile")) {
    if (condition.element === true && isPath(condition.profile) && only(condition, "profile", "element", "where") && first("where")) return "element";
    const asPredicate: JsonObject = { ...condition, property: condition.profile ?? null };
    delete asPredicate.profile;
    return predicateKind(asPredicate) === "property" ? "profile" : "json";
  }
  if (first("cohort")) return keys.length === 1 && typeof condition.cohort === "string" ? "cohort" : "json";
  if (first("sequence")) return only(condition, "sequence", "within") && Array.isArray(condition.sequence) ? "sequence" : "json";
  if (first("compare")) return only(condition, "compare", "operator", "to", "factor", "over") && first("to") && typeof condition.operator === "string" ? "compare" : "json";
  if (first("rank")) return only(condition, "rank", "order", "top", "percent", "by", "of") && rankIsShown(condition) ? "rank" : "json";
  if (first("group")) return groupKey(condition) && only(condition, "group", "any", "all", "none") && keys.length === 2 && isPath(condition.group) ? "group of customers" : "json";
  if (first("sample")) return keys.length === 1 && sampleIsShown(condition.sample) ? "sample" : "json";
  if (first("customer_in")) return keys.length === 1 && rowsAreShown(condition.customer_in) ? "listed" : "json";
  return "json";
}

function rankIsShown(condition: JsonObject): boolean {
  const cut = "top" in condition ? !("percent" in condition) : isPair(condition.percent);
  return cut && typeof condition.order === "string" && (condition.by === undefined || isPath(condition.by));
}

function sampleIsShown(value: Json | undefined): boolean {
  return isObject(value) && only(value, "percent", "salt") && isPair(value.percent) && typeof value.salt === "string";
}

export function rowsAreShown(value: Json | undefined): value is JsonObject {
  return isObject(value) && only(value, "table", "column", "where") && typeof value.table === "string" && typeof value.column === "string";
}

export function isPair(value: Json | undefined): value is Json[] {
  return Array.isArray(value) && value.length === 2;
}

/** Which of a group's customers must satisfy the condition within. */
export function groupKey(condition: JsonObject): "any" | "all" | "none" | undefined {
  return (["any", "all", "none"] as const).find(key => isObject(condition[key]));
}

export function predicateKind(value: Json | undefined): PredicateKind {
  if (!isObject(value)) return "json";
  const keys = Object.keys(value);
  if (keys.length === 1) {
    if (Array.isArray(value.and)) return "and";
    if (Array.isArray(value.or)) return "or";
    if (isObject(value.not)) return "not";
  }
  if ("element" in value) return only(value, "element", "where") && isPath(value.element) && "where" in value ? "element" : "json";
  const known = only(value, "property", "operator", "value", "ref", "rows", "ignore_case");
  if (!known || !isPath(value.property)) return "json";
  return comparisonIsShown(value) ? "property" : "json";
}

function comparisonIsShown(value: JsonObject): boolean {
  const operator = findOperator(value.operator);
  if (!operator) return false;
  if ("ignore_case" in value && (!operator.folds || typeof value.ignore_case !== "boolean")) return false;
  if ("ref" in value) return operator.refers && !("value" in value) && !("rows" in value) && isPath(value.ref);
  if ("rows" in value) return operator.rows && !("value" in value) && rowsAreShown(value.rows);
  switch (operator.takes) {
    case "nothing": return !("value" in value);
    case "list": return Array.isArray(value.value) && value.value.every(isPlain);
    case "range": return isPair(value.value) && value.value.every(isPlain);
    default: return isPlain(value.value);
  }
}

/** Whether a box of text can hold it. */
export function isPlain(value: Json | undefined): boolean {
  return value !== undefined && value !== null && !Array.isArray(value) && !isObject(value);
}

export function timeForm(value: Json | undefined): TimeForm | "json" {
  if (!isObject(value)) return "json";
  const keys = Object.keys(value);
  const form = TIME_FORMS.find(each => each in value);
  if (form === "from" || form === "until") {
    return only(value, form, "within") && anchorKind(value[form]) !== "json" && (!("within" in value) || typeof value.within === "string") ? form : "json";
  }
  if (form === undefined || keys.length !== 1) return "json";
  switch (form) {
    case "between_ago": case "between": case "hours": return isPair(value[form]) && (value[form] as Json[]).every(isPlain) ? form : "json";
    case "weekday": return typeof value.weekday === "string" || (isTexts(value.weekday) && value.weekday.length > 0) ? form : "json";
    default: return typeof value[form] === "string" ? form : "json";
  }
}

export function anchorKind(value: Json | undefined): AnchorKind {
  if (!isObject(value)) return "json";
  if ("profile" in value) return only(value, "profile") && isPath(value.profile) ? "profile" : "json";
  const end = "first" in value ? "first" : "last";
  return only(value, end, "where") && isEvent(value[end]) ? end : "json";
}

export function figureKind(value: Json | undefined): FigureKind {
  if (isPlain(value)) return "number";
  if (!isObject(value)) return "json";
  if ("profile" in value) return only(value, "profile") && isPath(value.profile) ? "profile" : "json";
  if (!only(value, "did", "where", "time", "aggregate") || !isEvent(value.did)) return "json";
  return value.aggregate === undefined || figureAggregateIsShown(value.aggregate) ? "events" : "json";
}

function figureAggregateIsShown(value: Json): boolean {
  return isObject(value) && only(value, "fn", "property") && typeof value.fn === "string" && isPath(value.property);
}

const MEASURES = ["gte", "gt", "lte", "lt", "eq", "neq", "between"] as const;
export type Measure = (typeof MEASURES)[number];
export { MEASURES };

/** The one comparison of count, periods and aggregate, or undefined where the form cannot show it. */
export function measureOf(value: Json | undefined, ...besides: readonly string[]): Measure | "in" | undefined {
  if (!isObject(value)) return undefined;
  const [key, ...more] = Object.keys(value).filter(each => !besides.includes(each));
  if (key === undefined || more.length > 0) return undefined;
  if (key === "in") return Array.isArray(value.in) && value.in.every(isPlain) ? "in" : undefined;
  const measure = MEASURES.find(each => each === key);
  if (measure === "between") return isPair(value.between) && value.between.every(isPlain) ? measure : undefined;
  return measure && isPlain(value[measure]) ? measure : undefined;
}

/** Whether the form shows an option of `did` or of a step; otherwise the option is a block of JSON within the sentence. */
export function optionIsShown(key: string, value: Json | undefined): boolean {
  switch (key) {
    case "where": case "among": return value !== undefined;
    case "count": return measureOf(value) !== undefined && measureOf(value) !== "in";
    case "periods": {
      const streak = isObject(value) ? value.streak : undefined;
      const measure = measureOf(value, "streak");
      return measure !== undefined && measure !== "in" && (streak === undefined || streak === "longest" || streak === "current");
    }
    case "aggregate": return isObject(value) && typeof value.fn === "string" && isPath(value.property) && measureOf(value, "fn", "property") !== undefined;
    case "per": case "within": case "after": case "as": return typeof value === "string";
    case "times": return isPlain(value);
    case "occurrence": return value === "first" || value === "last" || (isObject(value) && only(value, "nth") && isPlain(value.nth));
    case "time": return value !== undefined;
    default: return false;
  }
}

/** One or several: `where`, `among` and `time` are written as one object or as a list of them. */
export function entries(value: Json | undefined): { value: Json; place: Place }[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value.map((item, i) => ({ value: item, place: [i] })) : [{ value, place: [] }];
}

/** The places of a condition that the form shows as blocks of JSON. */
export function blocks(condition: Json, place: Place = []): Place[] {
  const below = (value: Json | undefined, ...steps: Place) => (value === undefined ? [] : blocks(value, [...place, ...steps]));
  const kind = conditionKind(condition);
  if (kind === "json" || !isObject(condition)) return [place];
  const all = (key: "and" | "or") => (condition[key] as Json[]).flatMap((each, i) => below(each, key, i));
  switch (kind) {
    case "group":
      if (condition.and) return all("and");
      return condition.or ? all("or") : below(condition.not, "not");
    case "did": return [...options(condition, ["did", "did_not", ...HEAD_KEYS], DID_OPTIONS, place)];
    case "profile": return rowBlocks(condition, place);
    case "element": return predicates(condition.where, [...place, "where"]);
    case "cohort": case "sample": return [];
    case "sequence":
      return (condition.sequence as Json[]).flatMap((step, i) => {
        const here = [...place, "sequence", i];
        const isStep = isObject(step) && "did" in step !== "did_not" in step && isEvent(step.did ?? step.did_not);
        return isStep ? options(step, ["did", "did_not"], STEP_OPTIONS, here) : [here];
      });
    case "compare": return [...figureBlocks(condition.compare, [...place, "compare"]), ...figureBlocks(condition.to, [...place, "to"])];
    case "rank": return [...figureBlocks(condition.rank, [...place, "rank"]), ...below(condition.of, "of")];
    case "group of customers": {
      const key = groupKey(condition);
      return key ? below(condition[key], key) : [place];
    }
    case "listed": return rowsWhere(condition.customer_in, [...place, "customer_in"]);
  }
}

function options(value: JsonObject, known: readonly string[], shown: readonly string[], place: Place): Place[] {
  return Object.keys(value).filter(key => !known.includes(key)).flatMap(key => {
    const here = [...place, key];
    if (!shown.includes(key) || !optionIsShown(key, value[key])) return [here];
    if (key === "where" || key === "among") return predicates(value[key], here);
    return key === "time" ? times(value[key], here) : [];
  });
}

function predicates(value: Json | undefined, place: Place): Place[] {
  return entries(value).flatMap(each => predicateBlocks(each.value, [...place, ...each.place]));
}

function predicateBlocks(value: Json, place: Place): Place[] {
  const kind = predicateKind(value);
  if (kind === "json" || !isObject(value)) return [place];
  if (kind === "property") return rowBlocks(value, place);
  if (kind === "element") return predicates(value.where, [...place, "where"]);
  return kind === "not" ? predicateBlocks(value.not as Json, [...place, "not"]) : predicates(value[kind], [...place, kind]);
}

function rowBlocks(value: JsonObject, place: Place): Place[] {
  return value.rows === undefined ? [] : rowsWhere(value.rows, [...place, "rows"]);
}

function rowsWhere(value: Json | undefined, place: Place): Place[] {
  return isObject(value) ? predicates(value.where, [...place, "where"]) : [place];
}

function times(value: Json | undefined, place: Place): Place[] {
  return entries(value).flatMap(each => {
    const here = [...place, ...each.place];
    const form = timeForm(each.value);
    if (form === "json" || !isObject(each.value)) return [here];
    const anchor = form === "from" || form === "until" ? each.value[form] : undefined;
    return isObject(anchor) ? predicates(anchor.where, [...here, form, "where"]) : [];
  });
}

function figureBlocks(value: Json | undefined, place: Place): Place[] {
  const kind = figureKind(value);
  if (kind === "json") return [place];
  if (kind !== "events" || !isObject(value)) return [];
  return [...predicates(value.where, [...place, "where"]), ...times(value.time, [...place, "time"])];
}
