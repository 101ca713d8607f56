// The operators of properties: their names and aliases, what each takes, and where it is offered.

export type Takes =
  | "nothing" | "scalar" | "ordered" | "range" | "list" | "text" | "pattern" | "date" | "interval" | "unit" | "units" | "short unit";
export type Theme = "any" | "number" | "text" | "list" | "date";

export interface Operator {
  name: string;
  aliases: readonly string[];
  takes: Takes;
  theme: Theme;
  /** Whether ignore_case may stand beside it. */
  folds: boolean;
  /** Whether another property may stand in place of the value. */
  refers: boolean;
  /** Whether rows of a table may stand in place of the value. */
  rows: boolean;
}

function operator(name: string, takes: Takes, theme: Theme, flags = "", aliases: readonly string[] = []): Operator {
  return { name, aliases, takes, theme, folds: flags.includes("c"), refers: flags.includes("r"), rows: flags.includes("t") };
}

export const OPERATORS: readonly Operator[] = [
  operator("eq", "scalar", "any", "cr", ["=", "==", "equals", "is"]),
  operator("neq", "scalar", "any", "cr", ["!=", "<>", "ne", "not_equals", "is_not"]),
  operator("in", "list", "any", "ct", ["any_of"]),
  operator("not_in", "list", "any", "ct", ["none_of"]),
  operator("exists", "nothing", "any", "", ["is_set"]),
  operator("not_exists", "nothing", "any", "", ["is_not_set"]),
  operator("gt", "ordered", "number", "r", [">", "greater_than"]),
  operator("gte", "ordered", "number", "r", [">=", "greater_than_or_equal"]),
  operator("lt", "ordered", "number", "r", ["<", "less_than"]),
  operator("lte", "ordered", "number", "r", ["<=", "less_than_or_equal"]),
  operator("between", "range", "number"),
  operator("not_between", "range", "number"),
  operator("contains", "text", "text", "c", ["icontains"]),
  operator("not_contains", "text", "text", "c"),
  operator("starts_with", "text", "text", "c"),
  operator("not_starts_with", "text", "text", "c"),
  operator("ends_with", "text", "text", "c"),
  operator("not_ends_with", "text", "text", "c"),
  operator("regex", "pattern", "text", "c", ["matches"]),
  operator("not_regex", "pattern", "text", "c"),
  operator("contains_any", "list", "list"),
  operator("contains_all", "list", "list"),
  operator("contains_none", "list", "list"),
  operator("before", "date", "date", "r"),
  operator("since", "date", "date", "r"),
  operator("on", "date", "date", "r"),
  operator("in_the_last", "interval", "date"),
  operator("in_the_next", "interval", "date"),
  operator("more_than_ago", "interval", "date"),
  operator("this", "unit", "date"),
  operator("previous", "units", "date"),
  operator("next", "units", "date"),
  operator("anniversary_in_the_next", "interval", "date", "", ["birthday_in_the_next"]),
  operator("anniversary_in_the_last", "interval", "date"),
  operator("anniversary_this", "short unit", "date"),
];

const byName = new Map<string, Operator>(OPERATORS.flatMap(each => [each.name, ...each.aliases].map(name => [name, each] as const)));

export function findOperator(name: unknown): Operator | undefined {
  return typeof name === "string" ? byName.get(name) : undefined;
}

/** The operators of compare. */
export const COMPARISONS = ["gte", "gt", "lte", "lt", "eq", "neq"] as const;
export const UNITS = ["day", "week", "month", "quarter", "year"] as const;
export const SHORT_UNITS = ["day", "week", "month"] as const;
export const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;
export const FUNCTIONS = ["sum", "avg", "min", "max", "count_distinct", "most_frequent"] as const;
