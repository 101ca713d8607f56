// What every box of the form needs: how to change the draft, the problems of the last answer, and what may be offered.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { EventType, Problem, Property } from "../api";
import type { Json } from "../rule/json";
import { isBelow, samePlace, type Place } from "../rule/place";
import { showPath } from "../rule/values";

export interface PlacedProblem extends Problem { place: Place }
export interface Vocabulary { events: EventType[]; properties: Property[]; cohorts: string[] }
export interface Edit {
  draft: Json;
  /** Typing waits a moment before the rule is asked about; anything else is asked at once. */
  change: (place: Place, value: Json | undefined, typing?: boolean) => void;
  settle: () => void;
  problems: readonly PlacedProblem[];
  vocabulary: Vocabulary;
}
export const EditContext = createContext<Edit | null>(null);

export function useEdit(): Edit {
  const edit = useContext(EditContext);
  if (!edit) throw new Error("outside of the builder");
  return edit;
}

/** Whose properties a predicate asks: those of events, of the profile, of an element of an array, or of a row. */
export interface Scope { of: "events" | "profile" | "element" | "row"; events: readonly string[]; steps: readonly string[]; array?: string }

export const profileScope: Scope = { of: "profile", events: [], steps: [] };
export const rowScope: Scope = { of: "row", events: [], steps: [] };

export interface Offer { text: string; hint?: string }

export function offeredProperties(vocabulary: Vocabulary, scope: Scope): Property[] {
  const all = scope.of === "profile" ? vocabulary.properties.filter(each => each.event_type === null)
    : vocabulary.properties.filter(each => each.event_type !== null && (scope.events.includes("*") || scope.events.length === 0 || scope.events.includes(each.event_type)));
  if (scope.of === "row") return [];
  const prefix = scope.of === "element" ? `${scope.array ?? ""}[].` : "";
  const seen = new Map<string, Property>();
  for (const property of all) {
    const name = showPath(property.property);
    if (!name.startsWith(prefix)) continue;
    const own = name.slice(prefix.length);
    if (!seen.has(own)) seen.set(own, { ...property, property: own });
  }
  return [...seen.values()];
}

export function findProperty(vocabulary: Vocabulary, scope: Scope, name: Json | undefined): Property | undefined {
  const shown = showPath(name);
  return offeredProperties(vocabulary, scope).find(each => showPath(each.property) === shown);
}

/** The problem of the box at a place, which may lie within its value. */
export function problemAt(problems: readonly PlacedProblem[], place: Place, exactly: boolean): PlacedProblem | undefined {
  return problems.find(each => samePlace(each.place, place)) ?? (exactly ? undefined : problems.find(each => isBelow(each.place, place)));
}

export function problemId(problem: PlacedProblem): string {
  return `problem-${problem.path.replace(/[^A-Za-z0-9]+/g, "-")}`;
}
