// A box that offers what is known: arrows choose, Enter takes, Esc closes. What was typed can always be used as it is.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { suggest as t } from "../texts";
import type { Offer } from "../builder/edit";
import { Icon } from "./icons";

interface Common { label: string; offers: readonly Offer[]; wrong?: boolean; described?: string; placeholder?: string; focusKey?: string }

function matching(offers: readonly Offer[], typed: string | null): Offer[] {
  if (!typed) return offers.slice(0, 100);
  const low = typed.toLowerCase();
  const found = offers.filter(offer => offer.text.toLowerCase().includes(low));
  return found.sort((a, b) => Number(b.text.toLowerCase().startsWith(low)) - Number(a.text.toLowerCase().startsWith(low))).slice(0, 100);
}

function useList(offers: readonly Offer[], typed: string | null, take: (text: string) => void) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const found = open ? matching(offers, typed) : [];
  const shown = open && found.length > 0;
  const choose = (text: string) => {
    take(text);
    setOpen(false);
    setAt(-1);
  };
  const keys = (event: KeyboardEvent): boolean => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const size = matching(offers, typed).length;
      if (size > 0) setAt(before => (event.key === "ArrowDown" ? (before + 1) % size : (before - 1 + size) % size));
      return true;
    }
    if (event.key === "Escape" && open) {
      event.stopPropagation();
      setOpen(false);
      setAt(-1);
      return true;
    }
    const chosen = found[at];
    if (event.key === "Enter" && !event.ctrlKey && shown && chosen) {
      event.preventDefault();
      choose(chosen.text);
      return true;
    }
    return false;
  };
  useEffect(() => {
    if (at >= 0) document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const attributes = {
    role: "combobox" as const, autocomplete: "off", spellcheck: false, "aria-autocomplete": "list" as const, "aria-expanded": shown,
    "aria-controls": shown ? id : undefined, "aria-activedescendant": shown && at >= 0 ? `${id}-${at}` : undefined,
  };
  const list = shown && (
    <div class="sheet" role="listbox" id={id} aria-label={t.offered}>
      {found.map((offer, i) => (
        <div key={offer.text} id={`${id}-${i}`} role="option" aria-selected={i === at} onPointerDown={event => { event.preventDefault(); choose(offer.text); }}>
          <span>{offer.text}</span>{offer.hint && <span class="quiet">{offer.hint}</span>}
        </div>
      ))}
    </div>
  );
  return { attributes, list, keys, open: () => setOpen(true), close: () => { setOpen(false); setAt(-1); } };
}

export function Suggest(props: Common & { text: string; onText: (text: string, typing: boolean) => void; onSettle?: () => void; plain?: boolean; onEnter?: (text: string) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const list = useList(props.offers, typed, text => {
    setTyped(null);
    props.onText(text, false);
  });
  const input = (
    <input
      {...list.attributes} class={props.plain ? "input" : undefined} aria-label={props.label} value={typed ?? props.text} size={Math.max(3, (typed ?? props.text).length)}
      aria-invalid={props.wrong ? "true" : undefined} aria-describedby={props.described} placeholder={props.placeholder} data-focus={props.focusKey}
      onInput={event => { setTyped(event.currentTarget.value); list.open(); props.onText(event.currentTarget.value, true); }}
      onClick={list.open}
      onKeyDown={event => { if (!list.keys(event) && event.key === "Enter") props.onEnter?.(event.currentTarget.value); }}
      onBlur={() => { if (typed !== null) props.onSettle?.(); setTyped(null); list.close(); }}
    />
  );
  return <span class={props.plain ? "pick-plain" : `box ${props.wrong ? "wrong" : ""}`}>{input}{list.list}</span>;
}

const SHOWN = 50;

/** Several values: Enter, Tab or leaving the box adds what was typed, Backspace in an empty box takes the last out. */
export function Chips(props: Common & { values: readonly string[]; onValues: (values: string[]) => void }) {
  const [typed, setTyped] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const add = (text: string) => {
    setTyped("");
    if (text !== "" && !props.values.includes(text)) props.onValues([...props.values, text]);
  };
  const list = useList(props.offers.filter(offer => !props.values.includes(offer.text)), typed || null, add);
  const keys = (event: KeyboardEvent) => {
    if (list.keys(event)) return;
    if (event.key === "Enter" && !event.ctrlKey && typed) {
      event.preventDefault();
      add(typed);
    } else if (event.key === "Backspace" && typed === "" && props.values.length > 0) props.onValues(props.values.slice(0, -1));
  };
  const hidden = props.values.length - SHOWN;
  return (
    <span class={`box many ${props.wrong ? "wrong" : ""}`}>
      {props.values.slice(0, SHOWN).map((value, i) => (
        <span class="value" key={value}>
          <bdi>{value === "" ? t.emptyText : value}</bdi>
          <button type="button" aria-label={t.takeOut(value)} onClick={() => { props.onValues(props.values.filter((_, k) => k !== i)); input.current?.focus(); }}><Icon name="cross" /></button>
        </span>
      ))}
      {hidden > 0 && <span class="quiet">{t.andMore(hidden)}</span>}
      <input
        {...list.attributes} ref={input} aria-label={props.label} value={typed} placeholder={props.placeholder ?? t.add} aria-invalid={props.wrong ? "true" : undefined} aria-describedby={props.described}
        data-focus={props.focusKey}
        onInput={event => { setTyped(event.currentTarget.value); list.open(); }} onClick={list.open} onKeyDown={keys} onBlur={() => { list.close(); add(typed); }}
        onPaste={event => {
          const lines = (event.clipboardData?.getData("text") ?? "").split(/[\n\t]+/).map(line => line.trim()).filter(Boolean);
          if (lines.length < 2) return;
          event.preventDefault();
          props.onValues([...new Set([...props.values, ...lines])]);
        }}
      />
      {list.list}
    </span>
  );
}
