// What the whole console shares: the session, a message at the lower edge, the theme and the single-letter keys.
import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { Refusal, type Session } from "./api";

export interface Toast { text: string; undo?: () => void; undoText?: string }
export interface Shared { session: Session; say: (toast: Toast) => void; signOut: () => void }
export const SharedContext = createContext<Shared | null>(null);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (!shared) throw new Error("outside of a session");
  return shared;
}

export interface Loaded<T> { data: T | undefined; error: Refusal | undefined; slow: boolean; reload: () => void; retryIn: number | undefined }

/** Loads when the key changes. Old data stays until the new is there; a failure that may pass is tried again. */
export function useLoad<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: Refusal; slow: boolean; key: string | null }>({ slow: false, key: null });
  const [round, setRound] = useState(0);
  const [retryIn, setRetryIn] = useState<number | undefined>();
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (key === null) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => setState(before => ({ ...before, slow: true })), 300);
    let retry: ReturnType<typeof setInterval> | undefined;
    latest.current(abort.signal).then(
      data => setState({ data, slow: false, key }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const refused = error instanceof Refusal ? error : new Refusal(-1, String(error));
        setState(before => ({ data: before.data, error: refused, slow: false, key }));
        if (!refused.passing) return;
        let left = refused.retryAfter ?? 8;
        setRetryIn(left);
        retry = setInterval(() => {
          left -= 1;
          setRetryIn(left);
          if (left <= 0) setRound(before => before + 1);
        }, 1000);
      },
    ).finally(() => clearTimeout(timer));
    return () => {
      abort.abort();
      clearTimeout(timer);
      clearInterval(retry);
      setRetryIn(undefined);
    };
  }, [key, round]);
  const reload = useCallback(() => setRound(before => before + 1), []);
  return { data: state.data, error: state.error, slow: state.slow, reload, retryIn };
}

/** Storage of the browser, which may be full or forbidden. */
export const kept = {
  read(name: string): string | null {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  },
  write(name: string, value: string | null): boolean {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, value);
      return true;
    } catch {
      return false;
    }
  },
};

export type Theme = "light" | "dark";

export function startTheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    document.documentElement.dataset.theme = kept.read("theme") ?? (dark.matches ? "dark" : "light");
  };
  dark.addEventListener("change", apply);
  apply();
}

export function switchTheme(): void {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  kept.write("theme", next);
  document.documentElement.dataset.theme = next;
}

export const lettersOn = () => kept.read("letters") !== "off";

/** Whether a single letter typed there is text. */
export function inBox(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function useKeys(handle: (event: KeyboardEvent) => void): void {
  const latest = useRef(handle);
  latest.current = handle;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (!document.querySelector("dialog[open]")) latest.current(event);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Cohorts`;
  }, [title]);
}
