// JSON with exact numbers: a number that a double cannot hold is kept by its digits.
import { LosslessNumber, isLosslessNumber, parse as parseLossless, stringify } from "lossless-json";

export type Json = null | boolean | string | number | LosslessNumber | Json[] | JsonObject;
export interface JsonObject { [key: string]: Json }

export { LosslessNumber };

export function parse(text: string): Json {
  return parseLossless(text, undefined, digits => (String(Number(digits)) === digits ? Number(digits) : new LosslessNumber(digits))) as Json;
}

export function print(value: Json, indent?: number): string {
  return stringify(value, undefined, indent) ?? "null";
}

/** Like print, but an array or object that fits in the width stays on one line. */
export function pretty(value: Json, width = 100, margin = ""): string {
  const flat = oneLine(value);
  if (flat.length + margin.length <= width) return flat;
  const inner = `${margin}  `;
  if (Array.isArray(value)) return `[\n${value.map(item => inner + pretty(item, width, inner)).join(",\n")}\n${margin}]`;
  if (isObject(value)) {
    const members = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${pretty(item, width, inner)}`);
    return `{\n${members.join(",\n")}\n${margin}}`;
  }
  return flat;
}

function oneLine(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  if (isObject(value)) return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${oneLine(item)}`).join(", ")}}`;
  return print(value);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isLosslessNumber(value);
}

export function isNumber(value: Json | undefined): value is number | LosslessNumber {
  return typeof value === "number" || isLosslessNumber(value);
}

export function isScalar(value: Json | undefined): value is string | number | boolean | LosslessNumber {
  return typeof value === "string" || typeof value === "boolean" || isNumber(value);
}

export function isTexts(value: Json | undefined): value is string[] {
  return Array.isArray(value) && value.every(item => typeof item === "string");
}

/** Equal as jsonb compares: keys in any order, numbers by value. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every(key => key in b && same(a[key], b[key]));
  }
  if (isNumber(a) && isNumber(b)) return a.toString() === b.toString();
  return false;
}
