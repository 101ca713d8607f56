// How numbers, shares and times are written.
import { isNumber, isScalar, print, type Json } from "./rule/json";

const grouped = new Intl.NumberFormat();
const compactTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const exactTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayMonthYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export function count(value: number): string {
  return grouped.format(value).replace(/^-/, "−");
}

export function change(value: number): string {
  return value > 0 ? `+${count(value)}` : count(value || 0);
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** One decimal, two below 1 %, three below 0.01 %. */
export function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return "0 %";
  const percent = (100 * part) / whole;
  const digits = percent < 0.01 ? 3 : percent < 1 ? 2 : 1;
  return `${percent.toFixed(digits)} %`;
}

export function figure(value: Json | undefined): string {
  if (value === undefined) return "";
  if (isNumber(value)) {
    const number = Number(value.toString());
    return Number.isSafeInteger(number) ? grouped.format(number) : value.toString();
  }
  return isScalar(value) ? String(value) : print(value);
}

export function isLength(value: Json | undefined): boolean {
  return typeof value === "string" && /^\d/.test(value.trim());
}

export function list(items: readonly string[], join: string): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} ${join} ${items.at(-1)}`;
}

export function day(iso: string): string {
  const when = new Date(iso);
  return when.getFullYear() === new Date().getFullYear() ? dayMonth.format(when) : dayMonthYear.format(when);
}

export function clock(when: Date | string, seconds = false): string {
  return (seconds ? exactTime : compactTime).format(new Date(when));
}

export function moment(iso: string): string {
  const when = new Date(iso);
  const today = when.toDateString() === new Date().toDateString();
  return today ? `today, ${compactTime.format(when)}` : `${day(iso)}, ${compactTime.format(when)}`;
}

export function ago(iso: string): string {
  const seconds = (Date.now() - new Date(iso).getTime()) / 1000;
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return `${plural(Math.round(seconds / 86400), "day")} ago`;
}

export function took(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
