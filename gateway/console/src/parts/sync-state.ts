import type { StateTone } from "./parts";

const TONES: Record<string, StateTone> = {
  active: "ok", success: "ok", queued: "run", running: "run", waiting: "run", paused: "idle", cancelled: "idle", held: "warn", partial: "warn", needs_attention: "bad", quarantined: "bad", disarmed: "bad", failed: "bad", crashed: "bad",
};

export function syncTone(state: string): StateTone {
  return TONES[state] ?? "idle";
}
