const PATHS = {
  warn: "M8 2 14.5 13.5h-13zM8 6.5v3M8 11.6v.1", ok: "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM5.5 8.2l1.8 1.8 3.2-3.6", run: "M13.5 8A5.5 5.5 0 1 1 11.8 4M13.5 2v3h-3",
  hold: "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM6.5 6v4M9.5 6v4", idle: "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM5.5 8h5", info: "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM8 7.2v4M8 4.9v.1",
  plus: "M8 3v10M3 8h10", cross: "M4 4l8 8M12 4l-8 8", tick: "M3 8.5 6.5 12 13 4.5", more: "M3.5 8h.01M8 8h.01M12.5 8h.01", down: "M4 6l4 4 4-4", right: "M6 4l4 4-4 4",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11", copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3", half: "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM8 2v12", up: "M4 10l4-4 4 4",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name, extra }: { name: IconName; extra?: string }) {
  return <svg class={`icon ${extra ?? ""}`} viewBox="0 0 16 16" aria-hidden="true"><path d={PATHS[name]} />{name === "half" && <path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" />}</svg>;
}
