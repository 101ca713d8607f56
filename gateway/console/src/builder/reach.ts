// How many of a rule's customers a destination can be told of: those whose profile has one of the identifiers that it goes by.
import { post, type Destination, type Preview } from "../api";
import { isObject, isTexts, print, type Json } from "../rule/json";
import { bodyOf, headOf } from "../rule/tree";

const DEFAULTS: Record<string, string[]> = { EXTERN_ID: [], EMAIL: ["email"], PHONE: ["phone", "phoneNumber"], MADID: [] };

/** The properties of which one is needed, or null where the customer's id is enough. */
export function identifiers({ kind, config }: Pick<Destination, "kind" | "config">): string[] | null {
  if (kind !== "facebook_ads" && kind !== "meta_pixel") return null;
  const mapping = isObject(config.mapping) ? config.mapping : {};
  const all = Object.entries(DEFAULTS).flatMap(([key, usual]) => {
    const own = mapping[key];
    if (own === undefined) return usual;
    return own === null ? [] : isTexts(own) ? own : [String(own)];
  });
  return all.includes("$customer_id") ? null : all;
}

export interface Reach { name: string; size: number; needs: string[] | null }

export async function reachOf(rule: Json, size: number, destinations: readonly Destination[]): Promise<Reach[]> {
  const asked = new Map<string, Promise<number>>();
  return Promise.all(destinations.map(async destination => {
    const needs = identifiers(destination);
    if (needs === null) return { name: destination.name, size, needs };
    if (needs.length === 0) return { name: destination.name, size: 0, needs };
    const known: Json = { or: needs.map(property => ({ profile: property, operator: "exists" })) };
    const both: Json = { ...headOf(rule), and: [bodyOf(rule), known] };
    const key = print(known);
    if (!asked.has(key)) asked.set(key, post<Preview>("/v1/preview", { rule: both, sample: 0 }).then(answer => answer.size ?? 0));
    return { name: destination.name, size: (await asked.get(key)) ?? 0, needs };
  }));
}
