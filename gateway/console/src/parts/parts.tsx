// What every page is made of.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Refusal } from "../api";
import type { Loaded } from "../state";
import { common as t, count, share } from "../texts";
import { Icon, type IconName } from "./icons";

export type Tone = "ok" | "warn" | "bad" | "info";

export function Panel(props: { title: string; end?: ComponentChildren; children: ComponentChildren; foot?: ComponentChildren; flush?: boolean; class?: string; level?: 2 | 3 }) {
  const id = useId();
  return (
    <section class={`panel ${props.class ?? ""}`} aria-labelledby={id}>
      <header><h2 id={id}>{props.title}</h2>{props.end}</header>
      {props.flush ? props.children : <div class="body">{props.children}</div>}
      {props.foot && <footer>{props.foot}</footer>}
    </section>
  );
}

const NOTE_ICONS: Record<Tone, IconName> = { ok: "ok", warn: "warn", bad: "warn", info: "info" };

export function Note({ tone, title, children, actions, alert }: { tone: Tone; title?: ComponentChildren; children?: ComponentChildren; actions?: ComponentChildren; alert?: boolean }) {
  return (
    <div class={`note ${tone}`} role={alert ? "alert" : undefined}>
      <Icon name={NOTE_ICONS[tone]} />
      <div>{title && <p><b>{title}</b></p>}{children && <div>{children}</div>}{actions && <div class="row">{actions}</div>}</div>
    </div>
  );
}

export type StateTone = "ok" | "run" | "warn" | "bad" | "idle";
const STATE_ICONS: Record<StateTone, IconName> = { ok: "ok", run: "run", warn: "hold", bad: "warn", idle: "idle" };

export function State({ tone, children }: { tone: StateTone; children: ComponentChildren }) {
  return <span class={`state ${tone}`}><Icon name={STATE_ICONS[tone]} /><span>{children}</span></span>;
}

export function Meter({ part, whole, out }: { part: number; whole: number; out?: boolean }) {
  const width = whole > 0 ? (100 * part) / whole : 0;
  return <div class={`meter ${out ? "out" : ""}`} aria-hidden="true"><i class={part > 0 ? "some" : ""} style={{ width: `${Math.min(100, width)}%` }} /></div>;
}

export function Size({ size, universe, old, leaves, see }: { size: number | null | undefined; universe: number | null; old: boolean; leaves?: number | null; see?: string }) {
  if (see !== undefined || size === null || size === undefined) {
    return <div class="size"><b class="old">–</b> <span class="share">{see ? t.see(see) : ""}</span></div>;
  }
  return (
    <div class="size">
      <b class={old ? "old" : ""}>{count(size)}</b> <span class="share">{old || universe === null ? "…" : share(size, universe)}</span>
      <Meter part={size} whole={universe ?? 0} />
      {leaves !== null && leaves !== undefined && <div class="leaves">{t.leaves(count(leaves))}</div>}
    </div>
  );
}

/** The content, or what stands in its place while there is none; a failure stands above what is still there. */
export function Await<T>({ of, children, safe, title }: { of: Loaded<T>; children: (data: T) => ComponentChildren; safe?: string; title?: string }) {
  return (
    <>
      {of.data === undefined && title && <div class="page-head"><h1><bdi>{title}</bdi></h1></div>}
      {of.error && <Failure error={of.error} again={of.reload} retryIn={of.retryIn} safe={safe} />}
      {of.data !== undefined ? children(of.data) : of.slow && !of.error && <Skeleton />}
    </>
  );
}

export function Failure({ error, again, retryIn, safe }: { error: Refusal; again?: () => void; retryIn?: number; safe?: string }) {
  const text = [error.detail, error.hint, safe, retryIn === undefined ? null : t.tryingAgain(retryIn)].filter(Boolean).join(" ");
  return <Note tone="bad" alert title={error.message} actions={again && error.passing && <button class="button" type="button" onClick={again}>{t.tryNow}</button>}>{text || null}</Note>;
}

export function Skeleton() {
  return <div class="panel"><div class="body stack" role="status" aria-label={t.loading}>{[60, 75, 45].map(width => <span key={width} class="skeleton" style={{ width: `${width}%` }} />)}</div></div>;
}

export function Empty({ title, children, actions, whole }: { title: string; children?: ComponentChildren; actions?: ComponentChildren; whole?: boolean }) {
  return <div class="empty">{whole ? <h1>{title}</h1> : <p class="empty-title">{title}</p>}{children}{actions && <div class="row">{actions}</div>}</div>;
}

export function Field(props: { label: string; help?: string; wrong?: string; class?: string; children: (attributes: { id: string; "aria-describedby"?: string; "aria-invalid"?: "true" }) => ComponentChildren }) {
  const id = useId();
  const described = props.wrong || props.help ? `${id}-help` : undefined;
  return (
    <div class={`field ${props.class ?? ""}`}>
      <label for={id}>{props.label}</label>
      {props.children({ id, "aria-describedby": described, ...(props.wrong ? { "aria-invalid": "true" as const } : {}) })}
      {props.wrong ? <p class="wrong-text" id={described}>{props.wrong}</p> : props.help && <p class="help" id={described}>{props.help}</p>}
    </div>
  );
}

export function Choice<T extends string>(props: { label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (value: T) => void; shown?: boolean }) {
  const name = useId();
  return (
    <fieldset class="field"><legend class={props.shown ? "" : "unseen"}>{props.label}</legend>
      <div class="segments">{props.options.map(([value, text]) => (
        <label key={value}><input type="radio" name={name} value={value} checked={value === props.value} onChange={() => props.onChange(value)} /><span>{text}</span></label>
      ))}</div>
    </fieldset>
  );
}

export interface MenuItem { text: string; key?: string; act: () => void }

export function Menu({ label, items, button, left, class: name, onKeyDown, content }: {
  label: string; items: readonly MenuItem[]; button?: ComponentChildren; left?: boolean; class?: string; onKeyDown?: (event: KeyboardEvent) => void; content?: string;
}) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    root.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const outside = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    addEventListener("pointerdown", outside);
    addEventListener("focusin", outside);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("focusin", outside);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    if (!open) return onKeyDown?.(event);
    const found = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = found.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 + found.length, Home: 0, End: found.length - 1 }[event.key];
    if (event.key === "Escape") close();
    else if (next !== undefined) found[next % found.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={root} onKeyDown={keys}>
      <button type="button" class={name ?? "button"} aria-haspopup="menu" aria-expanded={open} aria-label={content ? undefined : label} onClick={() => setOpen(!open)}>{content ?? button}</button>
      {open && (
        <div class={`sheet ${left ? "left" : ""}`} role="menu" aria-label={label}>
          {items.map(item => (
            <button key={item.text} type="button" role="menuitem" tabIndex={-1} onClick={() => { close(); item.act(); }}><span>{item.text}</span>{item.key && <span class="quiet">{item.key}</span>}</button>
          ))}
        </div>
      )}
    </div>
  );
}

/** A dialog of the browser's own, which holds and returns the focus. */
export function Dialog({ title, children, foot, onClose, broad }: { title: string; children: ComponentChildren; foot: ComponentChildren; onClose: () => void; broad?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} class={broad ? "broad" : ""} aria-labelledby={id} onCancel={event => { event.preventDefault(); onClose(); }}>
      <header><h2 id={id}>{title}</h2></header>
      <div class="body">{children}</div>
      <footer>{foot}</footer>
    </dialog>
  );
}

export function CopyButton({ text }: { text: string }) {
  const [done, setDone] = useState(false);
  const copy = () => void navigator.clipboard.writeText(text).then(() => setDone(true), () => setDone(false));
  return <button class="button" type="button" onClick={copy} onBlur={() => setDone(false)}><Icon name={done ? "tick" : "copy"} />{done ? t.copied : t.copy}</button>;
}
