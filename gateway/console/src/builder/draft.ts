// The draft: every change can be undone, and each is kept in the browser.
import { useCallback, useRef, useState } from "preact/hooks";
import { kept } from "../state";
import { parse, print, same, type Json } from "../rule/json";

export interface State { name: string; draft: Json }
export interface Stored extends State { at: string; etag: string | null; base: Json }

export function draftKey(role: string, cohort: string | null): string {
  return `draft ${role} ${cohort === null ? "new" : `of ${cohort}`}`;
}

export function readDraft(key: string): Stored | null {
  const text = kept.read(key);
  if (text === null) return null;
  try {
    return parse(text) as unknown as Stored;
  } catch {
    return null;
  }
}

const LONGEST = 500;

export function useHistory(first: State) {
  const stack = useRef<State[]>([first]);
  const [index, setIndex] = useState(0);
  const typing = useRef<{ what: string; at: number } | null>(null);
  const state = stack.current[index] ?? first;
  const push = useCallback((next: State, what?: string) => {
    setIndex(before => {
      const current = stack.current[before];
      if (current && current.name === next.name && same(current.draft, next.draft)) return before;
      const now = Date.now();
      const goesOn = what !== undefined && typing.current?.what === what && now - typing.current.at < 1500 && before === stack.current.length - 1 && before > 0;
      typing.current = what === undefined ? null : { what, at: now };
      stack.current = [...stack.current.slice(0, goesOn ? before : before + 1), next].slice(-LONGEST);
      return stack.current.length - 1;
    });
  }, []);
  const undo = useCallback(() => {
    typing.current = null;
    setIndex(before => Math.max(0, before - 1));
  }, []);
  const redo = useCallback(() => {
    typing.current = null;
    setIndex(before => Math.min(stack.current.length - 1, before + 1));
  }, []);
  return { state, push, undo, redo, canUndo: index > 0, canRedo: index < stack.current.length - 1 };
}

export function store(key: string, stored: Stored | null): boolean {
  return kept.write(key, stored === null ? null : print(stored as unknown as Json));
}
