// One sync in a list: how it is, what to do, and the buttons for it.
import { useState } from "preact/hooks";
import { post, Refusal, syncPath, type Sync } from "../api";
import { Link, path } from "../router";
import { useShared } from "../state";
import { count, moment, sync as t } from "../texts";
import { State } from "./parts";
import { syncTone } from "./sync-state";

export function scheduleInWords(sync: Sync): string {
  const at = typeof sync.at === "string" ? t.atTime(sync.at, typeof sync.timezone === "string" ? sync.timezone : "UTC") : ".";
  return `${t.frequencies[String(sync.frequency)] ?? String(sync.frequency)}${at}`;
}

export function useSyncActs(sync: Sync, onChange: () => void) {
  const { say } = useShared();
  const [busy, setBusy] = useState(false);
  const act = (what: "now" | "pause" | "resume" | "resync", body?: unknown) => {
    setBusy(true);
    post<{ message?: string }>(syncPath(sync.cohort, sync.destination, `/${what}`), body).then(
      answer => { say({ text: answer?.message ?? t.done[what] }); onChange(); }, (failed: Refusal) => say({ text: [failed.message, failed.hint].filter(Boolean).join(" ") }),
    ).finally(() => setBusy(false));
  };
  return { act, busy };
}

export function SyncCard({ sync, onChange, whole }: { sync: Sync; onChange: () => void; whole?: boolean }) {
  const { act, busy } = useSyncActs(sync, onChange);
  const own = path("syncs", sync.cohort, sync.destination);
  const stopped = ["paused", "held", "needs_attention", "quarantined"].includes(sync.state);
  return (
    <li>
      <div class="spread">{whole ? <h2><Link to={own}><bdi>{sync.cohort}</bdi> → <bdi>{sync.destination}</bdi></Link></h2> : <h3><Link to={own}><bdi>{sync.destination}</bdi></Link></h3>}<State tone={syncTone(sync.state)}>{t.states[sync.state] ?? sync.state}</State></div>
      <p class="small quiet">{scheduleInWords(sync)} {typeof sync.delivered === "number" && t.there(count(sync.delivered))} {typeof sync.next_run === "string" && t.next(moment(sync.next_run))} {typeof sync.why === "string" && sync.why}</p>
      {sync.editable && (
        <div class="row">
          {sync.state === "held" ? <Link class="button" to={own}>{t.decide}</Link> : stopped ? <button class="button" type="button" disabled={busy} onClick={() => act("resume")}>{t.resume}</button> : (
            <><button class="button" type="button" disabled={busy} onClick={() => act("now")}>{t.sendNow}</button><button class="button" type="button" disabled={busy} onClick={() => act("pause")}>{t.pause}</button></>
          )}
          <Link class="small" to={own}>{t.runs}</Link>
        </div>
      )}
    </li>
  );
}
