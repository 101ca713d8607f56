import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

const changed = new EventTarget();

export function go(path: string, replace = false): void {
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  changed.dispatchEvent(new Event("go"));
}

/** The path in parts, decoded. */
export function useRoute(): { parts: string[]; query: URLSearchParams; key: string } {
  const read = () => location.pathname + location.search;
  const [where, setWhere] = useState(read());
  useEffect(() => {
    const follow = () => setWhere(read());
    addEventListener("popstate", follow);
    changed.addEventListener("go", follow);
    return () => {
      removeEventListener("popstate", follow);
      changed.removeEventListener("go", follow);
    };
  }, []);
  const [path = "", query = ""] = where.split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query), key: where };
}

export function path(...parts: string[]): string {
  return `/${parts.map(encodeURIComponent).join("/")}`;
}

export function Link(props: { to: string; children: ComponentChildren; class?: string; "aria-current"?: "page"; "aria-label"?: string }) {
  const { to, children, ...rest } = props;
  const follow = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return <a {...rest} href={to} onClick={follow}>{children}</a>;
}
