// What the database says to the rule: asked at once after a choice, a moment after the last key while somebody types. A later
// question's answer is never replaced by an earlier one's.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { post, Refusal, type Preview } from "../api";
import { print, type Json } from "../rule/json";
import { at, placeText, readPlace, type Place } from "../rule/place";
import { bodyOf, draftPlace, ruleOf } from "../rule/tree";
import type { PlacedProblem } from "./edit";
import type { SizeOf } from "./tree";

const TYPING = 250;

export interface Answer {
  /** The last answer to a rule without a problem, and when it came. */
  good: Preview | null;
  goodAt: Date | null;
  problems: PlacedProblem[];
  pending: boolean;
  slow: boolean;
  error: Refusal | null;
  sizeAt: (place: Place) => SizeOf | undefined;
}

export function useAnswer(draft: Json, typing: boolean, sql: boolean) {
  const rule = ruleOf(draft);
  const text = rule === null ? "" : print(rule) + (sql ? " sql" : "");
  const [state, setState] = useState<{ good: Preview | null; goodAt: Date | null; problems: PlacedProblem[]; error: Refusal | null; text: string }>({ good: null, goodAt: null, problems: [], error: null, text: "" });
  const [slow, setSlow] = useState(false);
  const [round, setRound] = useState(0);
  // The size of each condition by its own text: one that did not change keeps it while another has a problem.
  const sizes = useRef(new Map<string, { customers: number | null; leaves: number | null; answer: string }>());
  const now = useRef({ rule, text, typing });
  now.current = { rule, text, typing };

  useEffect(() => {
    if (rule === null) {
      setState({ good: null, goodAt: null, problems: [], error: null, text: "" });
      return undefined;
    }
    const abort = new AbortController();
    let retry: ReturnType<typeof setTimeout> | undefined;
    const late = setTimeout(() => setSlow(true), (typing ? TYPING : 0) + 300);
    const timer = setTimeout(() => {
      post<Preview>("/v1/preview", { rule, sample: 0, sql }, abort.signal).then(
        answer => {
          const problems = answer.problems.map(problem => ({ ...problem, place: draftPlace(rule, readPlace(problem.path)) }));
          if (answer.valid) remember(sizes.current, rule, text, answer);
          setState(before => ({ good: answer.valid ? answer : before.good, goodAt: answer.valid ? new Date() : before.goodAt, problems, error: null, text }));
        },
        (error: unknown) => {
          if (abort.signal.aborted) return;
          const refused = error instanceof Refusal ? error : new Refusal(-1, String(error));
          setState(before => ({ ...before, error: refused, text }));
          if (refused.passing) retry = setTimeout(() => setRound(before => before + 1), (refused.retryAfter ?? 8) * 1000);
        },
      ).finally(() => { clearTimeout(late); setSlow(false); });
    }, typing ? TYPING : 0);
    return () => {
      abort.abort();
      clearTimeout(timer);
      clearTimeout(late);
      clearTimeout(retry);
    };
  }, [text, round]);

  const sizeAt = useCallback((place: Place): SizeOf | undefined => {
    const value = at(draft, place);
    if (value === undefined) return undefined;
    const known = sizes.current.get(keyOf(draft, place, value));
    return known && { customers: known.customers, leaves: known.answer === state.text ? known.leaves : null, old: known.answer !== text && state.text !== text };
  }, [draft, state, text]);

  const answer: Answer = { ...state, pending: rule !== null && state.text !== text, slow, sizeAt };
  return { ...answer, again: () => setRound(before => before + 1) };
}

/** The same condition under another zone, or in another place of an `and`, is another question; its size alone is not. */
function keyOf(rule: Json, place: Place, value: Json): string {
  const zone = at(rule, ["timezone"]) ?? "UTC";
  return `${print(zone)} ${print(place.length === 0 ? bodyOf(value) : value)}`;
}

function remember(sizes: Map<string, { customers: number | null; leaves: number | null; answer: string }>, rule: Json, text: string, answer: Preview): void {
  if (sizes.size > 5000) sizes.clear();
  for (const condition of answer.conditions) {
    const place = readPlace(condition.path);
    const value = at(rule, place);
    if (value !== undefined) sizes.set(keyOf(rule, place, value), { customers: condition.customers, leaves: condition.leaves, answer: text });
  }
  sizes.set(keyOf(rule, [], rule), { customers: answer.size, leaves: null, answer: text });
}

export { placeText };
