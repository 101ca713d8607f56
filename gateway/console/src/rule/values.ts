// What a box shows for a value of a rule, and what is read from it: read(show(value)) is the value.
import { isNumber, isTexts, parse, print, type Json } from "./json";

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Text that looks like a number, or like true and false, stands in quotes. */
export function showValue(value: Json | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "string") return readValue(value) === value ? value : JSON.stringify(value);
  return print(value);
}

export function readValue(text: string): Json {
  const trimmed = text.trim();
  if (NUMBER.test(trimmed)) return parse(trimmed);
  if (trimmed === "true" || trimmed === "false") return trimmed === "true";
  return unquoted(text) ?? text;
}

/** As readValue, where the property is known to hold text only: 411001 is a postcode there. */
export function readText(text: string): Json {
  const read = readValue(text);
  return isNumber(read) || typeof read === "boolean" ? text : read;
}

function unquoted(text: string): string | undefined {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return undefined;
  try {
    return JSON.parse(text) as string;
  } catch {
    return undefined;
  }
}

/** A path is text; one whose keys contain dots is a list of keys, written as JSON. */
export function showPath(path: Json | undefined): string {
  if (typeof path === "string") return readPath(path) === path ? path : JSON.stringify(path);
  return path === undefined ? "" : print(path);
}

export function readPath(text: string): Json {
  if (text.startsWith("[")) {
    try {
      const read = parse(text);
      if (isTexts(read) && read.length > 0) return read;
    } catch {
      return text;
    }
  }
  return unquoted(text) ?? text;
}

/** Event types: one is written alone, several as a list; a list stays one. */
export function eventList(event: Json | undefined): string[] {
  return typeof event === "string" ? [event] : isTexts(event) ? event : [];
}

export function withEvents(before: Json | undefined, events: readonly string[]): Json {
  const [only] = events;
  return events.length === 1 && only !== undefined && (!Array.isArray(before) || before.length !== 1) ? only : [...events];
}

/** The same for `where` and `time`. */
export function withEntries(before: Json | undefined, list: readonly Json[]): Json | undefined {
  const [only] = list;
  if (only === undefined) return undefined;
  return list.length === 1 && !Array.isArray(before) ? only : [...list];
}
