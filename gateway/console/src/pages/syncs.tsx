// Syncs: the list, a new one, and one with its runs.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, cohortPath, get, part, post, Refusal, syncPath, type Destination, type List, type Sync, type SyncPreview } from "../api";
import { Because } from "../parts/because";
import { Await, Choice, Dialog, Empty, Failure, Field, Meter, Panel, State } from "../parts/parts";
import { scheduleInWords, SyncCard, useSyncActs } from "../parts/sync-card";
import { syncTone } from "../parts/sync-state";
import { go, Link, path } from "../router";
import type { Json } from "../rule/json";
import { useLoad, useShared, useTitle } from "../state";
import { ownZone, zones } from "../zones";
import { change, common, count, moment, plural, share, sync as t, took } from "../texts";

export function SyncsPage() {
  useTitle(t.title);
  const syncs = useLoad("syncs", signal => get<List<Sync>>("/v1/syncs", signal));
  return (
    <>
      <div class="page-head"><div><h1>{t.title}</h1><p>{t.lead}</p></div></div>
      <Await of={syncs}>{data => (
        <section class="panel" aria-label={t.title}>{data.items.length === 0 ? <Empty title={t.noneTitle} actions={<Link class="button" to="/">{t.toCohorts}</Link>}><p>{t.noneText}</p></Empty> : <ul class="lines">{data.items.map(sync => <SyncCard whole key={`${sync.cohort} ${sync.destination}`} sync={sync} onChange={syncs.reload} />)}</ul>}</section>
      )}</Await>
    </>
  );
}

interface Schedule { kind: "hourly" | "daily" | "weekly" | "monthly" | "every" | "cron"; every: string; cron: string; at: string; timezone: string }
const KINDS = [["hourly", t.hourly], ["daily", t.daily], ["weekly", t.weekly], ["monthly", t.monthly], ["every", t.every], ["cron", t.cron]] as const;

function readSchedule(sync: Sync | undefined): Schedule {
  const frequency = String(sync?.frequency ?? "daily");
  const kind = (["hourly", "daily", "weekly", "monthly"] as const).find(each => each === frequency) ?? (frequency.startsWith("every ") ? "every" : "cron");
  return { kind, every: kind === "every" ? frequency.slice(6) : "6 hours", cron: kind === "cron" ? frequency : "30 2 * * 1", at: typeof sync?.at === "string" ? sync.at.slice(0, 5) : "02:30", timezone: typeof sync?.timezone === "string" ? sync.timezone : ownZone };
}

function writeSchedule({ kind, every, cron, at, timezone }: Schedule): Record<string, Json> {
  const timed = kind === "daily" || kind === "weekly" || kind === "monthly";
  return { frequency: kind === "every" ? `every ${every.trim()}` : kind === "cron" ? cron.trim() : kind, ...(timed ? { at } : {}), timezone };
}

function ScheduleForm({ value, onChange }: { value: Schedule; onChange: (value: Schedule) => void }) {
  const set = (part_: Partial<Schedule>) => onChange({ ...value, ...part_ });
  const timed = value.kind === "daily" || value.kind === "weekly" || value.kind === "monthly";
  return (
    <div class="stack">
      <Choice shown label={t.howOften} value={value.kind} options={KINDS} onChange={kind => set({ kind })} />
      <div class="form-row">
        {timed && <Field class="narrow" label={t.at}>{own => <input class="input" type="time" {...own} value={value.at} onInput={event => set({ at: event.currentTarget.value })} />}</Field>}
        {value.kind === "every" && <Field class="narrow" label={t.interval}>{own => <input class="input" {...own} value={value.every} onInput={event => set({ every: event.currentTarget.value })} />}</Field>}
        {value.kind === "cron" && <Field class="narrow" label={t.fields}>{own => <input class="input mono" {...own} value={value.cron} onInput={event => set({ cron: event.currentTarget.value })} />}</Field>}
        <Field label={t.zone}>{own => <span class="pick"><select class="input" {...own} value={value.timezone} onChange={event => set({ timezone: event.currentTarget.value })}>{zones.map(zone => <option key={zone}>{zone}</option>)}</select></span>}</Field>
      </div>
      <p class="in-words"><b>{t.inWords(writeSchedule(value) as Record<string, string>)}</b></p>
    </div>
  );
}

export function NewSyncPage({ cohort }: { cohort: string }) {
  useTitle(t.newTitle);
  const { say } = useShared();
  const loaded = useLoad(`new sync ${cohort}`, async signal => {
    const [size, destinations, syncs] = await Promise.all([get<{ count: number }>(cohortPath(cohort, "/count"), signal), get<List<Destination>>("/v1/destinations", signal), get<List<Sync>>(`/v1/syncs?cohort=${part(cohort)}`, signal)]);
    return { size: size.count, destinations: destinations.items, syncs: syncs.items };
  });
  const [chosen, setChosen] = useState<string | null>(null);
  const [schedule, setSchedule] = useState(readSchedule(undefined));
  const [error, setError] = useState<Refusal | null>(null);
  const [busy, setBusy] = useState(false);
  const save = (destination: string | null) => {
    if (destination === null) return setError(new Refusal(-1, t.chooseFirst));
    setBusy(true);
    return void ask("POST", "/v1/syncs", { body: { cohort, destination, ...writeSchedule(schedule) } }).then(() => { say({ text: t.saved }); go(path("syncs", cohort, destination)); }, (failed: Refusal) => setError(failed)).finally(() => setBusy(false));
  };
  return (
    <Await of={loaded} title={t.newTitle}>{data => {
      const taken = new Map(data.syncs.map(sync => [sync.destination, sync]));
      const free = data.destinations.filter(each => !taken.has(each.name));
      const destination = chosen ?? (free.length === 1 ? free[0]?.name ?? null : null);
      return (
        <>
          <div class="page-head"><div><p class="crumb"><Link to="/">{t.cohorts}</Link> / <Link to={path("cohorts", cohort)}><bdi>{cohort}</bdi></Link></p><h1>{t.newTitle}</h1><p>{t.newLead(plural(data.size, "member"))}</p></div></div>
          <div class="grid">
            <section class="panel seven" aria-label={t.newTitle}>
              <div class="body stack">
                {error && <Failure error={error} />}
                {data.destinations.length === 0 ? <Empty title={t.noDestination} actions={<Link class="button" to="/destinations/new">{t.newDestination}</Link>}><p>{t.noDestinationText}</p></Empty> : (
                  <fieldset class="field"><legend>{t.destination}</legend><div class="frame">{data.destinations.map(each => {
                    const other = taken.get(each.name);
                    return (
                      <label class="radio" key={each.name}>
                        <input type="radio" name="destination" value={each.name} disabled={other !== undefined} checked={destination === each.name} onChange={() => { setError(null); setChosen(each.name); }} />
                        <span><bdi>{each.name}</bdi><br /><span class="small quiet">{other ? <>{t.already(scheduleInWords(other))} <Link to={path("syncs", cohort, each.name)}>{t.changeThat}</Link></> : t.kinds[each.kind] ?? each.kind}</span></span>
                        {other ? <State tone={syncTone(other.state)}>{t.states[other.state] ?? other.state}</State> : <span />}
                      </label>
                    );
                  })}</div></fieldset>
                )}
                <ScheduleForm value={schedule} onChange={setSchedule} />
                <p class="small quiet">{t.guard}</p>
              </div>
              <footer><span>{t.nothingUntil}</span><span class="row"><Link class="button" to={path("cohorts", cohort)}>{common.cancel}</Link><button class="button primary" type="button" disabled={busy} onClick={() => save(destination)}>{t.saveSync}</button></span></footer>
            </section>
            <div class="five column">{destination !== null && <PreviewPanel cohort={cohort} destination={destination} size={data.size} title={t.firstRun} />}</div>
          </div>
        </>
      );
    }}</Await>
  );
}

function PreviewPanel({ cohort, destination, size, title }: { cohort: string; destination: string; size: number; title: string }) {
  const preview = useLoad(`preview ${cohort} ${destination}`, signal => post<SyncPreview>(syncPath(cohort, destination, "/preview"), undefined, signal));
  return (
    <Panel title={title} end={<span class="small quiet">{t.sendsNothing}</span>}>
      <Await of={preview}>{data => {
        const skipped = Object.values(data.skipped).reduce((sum, each) => sum + each, 0);
        return (
          <div class="stack">
            <dl class="tally"><div><dt>{t.add}</dt><dd>{count(data.adds)}</dd></div><div><dt>{t.remove}</dt><dd class={data.removes > 0 ? "down" : ""}>{count(data.removes)}</dd></div><div><dt>{t.unchanged}</dt><dd>{count(data.unchanged)}</dd></div><div><dt>{t.skipped}</dt><dd>{count(skipped)}</dd></div></dl>
            <div><Meter part={data.adds + data.unchanged} whole={size} /><p class="small quiet">{t.reached(share(data.adds + data.unchanged, size), count(size))}</p></div>
            {skipped > 0 && <table class="tight"><thead><tr><th scope="col">{t.skippedBecause}</th><th scope="col" class="num">{t.people}</th></tr></thead><tbody>{Object.entries(data.skipped).map(([reason, n]) => <tr key={reason}><td>{t.reasons[reason] ?? reason.replaceAll("_", " ")}</td><td class="num"><b>{count(n)}</b></td></tr>)}</tbody></table>}
            {data.held && <p class="small">{t.wouldBeHeld}{typeof data.held === "string" ? ` ${data.held}` : ""}</p>}
          </div>
        );
      }}</Await>
    </Panel>
  );
}

interface Run { run_id: number; state: string; cause: string; queued_at: string; started_at: string | null; ended_at: string | null; adds: number | null; removes: number | null; added: number | null; removed: number | null; size: number | null; rejected: number | null; error: string | null; hint: string | null }
interface Rejected { customer_id: string; reason: string; run_id: number; rejected_at: string }

export function SyncPage({ cohort, destination }: { cohort: string; destination: string }) {
  useTitle(t.toDestination(destination));
  const key = `${cohort} ${destination}`;
  const sync = useLoad(`sync ${key}`, signal => get<Sync>(syncPath(cohort, destination), signal));
  const runs = useLoad(`runs ${key} ${sync.data?.last_run ?? ""} ${sync.data?.state ?? ""}`, signal => get<List<Run>>(`/v1/sync-runs?cohort=${part(cohort)}&destination=${part(destination)}&limit=10`, signal));
  const rejected = useLoad(`rejected ${key}`, signal => get<List<Rejected>>(syncPath(cohort, destination, "/rejected?limit=20"), signal));
  const reload = () => {
    sync.reload();
    runs.reload();
    rejected.reload();
  };
  return <Await of={sync} title={t.toDestination(destination)}>{data => <Whole sync={data} runs={runs.data?.items ?? []} rejected={rejected.data?.items ?? []} reload={reload} />}</Await>;
}

function Whole({ sync, runs, rejected, reload }: { sync: Sync; runs: Run[]; rejected: Rejected[]; reload: () => void }) {
  const { cohort, destination } = sync;
  const { say } = useShared();
  const { act, busy } = useSyncActs(sync, reload);
  const [dialog, setDialog] = useState<"schedule" | "drop" | "preview" | null>(null);
  const held = runs.find(run => run.state === "held");
  const lastDone = runs.find(run => run.state === "success" || run.state === "partial")?.started_at;
  const stopped = ["paused", "needs_attention", "quarantined", "disarmed"].includes(sync.state);
  const running = ["queued", "running", "waiting"].includes(sync.state);
  const [expected, setExpected] = useState(0);
  useRefreshing(running || expected > Date.now(), reload);
  const send = (force: boolean) => {
    setExpected(Date.now() + 30_000);
    act("now", { force });
  };
  const delivered = typeof sync.delivered === "number" ? sync.delivered : 0;
  const drop = () => ask("DELETE", syncPath(cohort, destination)).then(() => { say({ text: t.dropped }); go(path("cohorts", cohort)); }, (failed: Refusal) => say({ text: failed.message }));
  return (
    <>
      <div class="page-head">
        <div><p class="crumb"><Link to="/syncs">{t.title}</Link> / <Link to={path("cohorts", cohort)}><bdi>{cohort}</bdi></Link></p><h1>{t.toDestination(destination)}</h1>
          <p>{scheduleInWords(sync)} {typeof sync.next_run === "string" ? t.next(moment(sync.next_run)) : ""}</p></div>
        {sync.editable && (
          <div class="row">
            <button class="button" type="button" onClick={() => setDialog("preview")}>{t.preview}</button><button class="button" type="button" onClick={() => setDialog("schedule")}>{t.changeSchedule}</button>
            {!stopped && sync.state !== "held" && <button class="button" type="button" disabled={busy} onClick={() => act("pause")}>{t.pause}</button>}
            {stopped ? <button class="button primary" type="button" disabled={busy} onClick={() => act("resume")}>{t.resume}</button> : sync.state !== "held" && <button class="button primary" type="button" disabled={busy || running} onClick={() => send(false)}>{t.sendNow}</button>}
          </div>
        )}
      </div>
      <div class="grid">
        <div class="seven column">
          {sync.state === "held" ? (
            <Panel class="held" title={t.heldTitle(count(held?.removes ?? 0), count(delivered))} end={typeof sync.since === "string" && <span class="small">{t.since(moment(sync.since))}</span>} foot={sync.editable && (
              <><span>{t.choose}</span><span class="row"><button class="button" type="button" disabled={busy} onClick={() => act("pause")}>{t.keepThem}</button><button class="button danger" type="button" disabled={busy} onClick={() => send(true)}>{t.removeThem(count(held?.removes ?? 0))}</button></span></>
            )}>
              <div class="stack">
                <p>{sync.why as string | null}</p>
                <Figures rows={[[t.thereNow, delivered, false], [t.afterRun, Math.max(0, delivered - (held?.removes ?? 0) + (held?.adds ?? 0)), false], [t.removed, held?.removes ?? 0, true]]} whole={delivered} />
                <p class="small quiet">{t.limit(share(held?.removes ?? 0, delivered))}</p>
                {lastDone && <Because cohort={cohort} since={lastDone} />}
                <p><Link to={path("cohorts", cohort)}>{t.seeVersions}</Link></p>
              </div>
            </Panel>
          ) : (
            <Panel title={t.state} end={<State tone={syncTone(sync.state)}>{t.states[sync.state] ?? sync.state}</State>}>
              <div class="stack">
                {typeof sync.why === "string" && <p>{sync.why}</p>}
                {typeof sync.hint === "string" && <p class="quiet">{sync.hint}</p>}
                <dl class="tally"><div><dt>{t.thereNow}</dt><dd>{count(delivered)}</dd></div><div><dt>{t.leaving}</dt><dd>{count(Number(sync.leaving ?? 0))}</dd></div><div><dt>{t.failures}</dt><dd>{count(Number(sync.failures ?? 0))}</dd></div></dl>
              </div>
            </Panel>
          )}
          {rejected.length > 0 && <Panel title={t.rejected} flush><table class="tight"><thead><tr><th scope="col">{t.customer}</th><th scope="col">{t.reason}</th><th scope="col" class="num">{t.when}</th></tr></thead><tbody>{rejected.map(each => <tr key={each.customer_id}><th scope="row"><Link class="mono" to={path("customers", each.customer_id)}>{each.customer_id}</Link></th><td>{each.reason}</td><td class="num">{moment(each.rejected_at)}</td></tr>)}</tbody></table></Panel>}
        </div>
        <div class="five column">
          <Panel title={t.runs} flush>{runs.length === 0 ? <Empty title={t.noRun} /> : (
            <div class="scroll" tabIndex={0}><table class="tight"><thead><tr><th scope="col">{t.started}</th><th scope="col">{t.end}</th><th scope="col" class="num">{t.added}</th><th scope="col" class="num">{t.removed}</th><th scope="col" class="num">{t.refused}</th><th scope="col" class="num">{t.took}</th></tr></thead>
              <tbody>{runs.map(run => (
                <tr key={run.run_id}><th scope="row">{moment(run.started_at ?? run.queued_at)}</th><td><State tone={syncTone(run.state)}>{t.runStates[run.state] ?? run.state}</State>{run.error && <div class="small quiet">{run.error}</div>}</td>
                  <td class="num">{change(run.added ?? 0)}</td><td class="num">{change(-(run.removed ?? 0))}</td><td class="num">{count(run.rejected ?? 0)}</td><td class="num">{run.started_at && run.ended_at ? took(Date.parse(run.ended_at) - Date.parse(run.started_at)) : "–"}</td></tr>
              ))}</tbody></table></div>
          )}</Panel>
          {sync.editable && <p class="row"><button class="linkish" type="button" onClick={() => act("resync")}>{t.resync}</button><button class="linkish" type="button" onClick={() => setDialog("drop")}>{t.drop}</button></p>}
        </div>
      </div>
      {dialog === "schedule" && <ChangeSchedule sync={sync} onClose={() => setDialog(null)} onDone={reload} />}
      {dialog === "preview" && <Dialog title={t.preview} onClose={() => setDialog(null)} foot={<button class="button" type="button" onClick={() => setDialog(null)}>{common.close}</button>}><PreviewPanel cohort={cohort} destination={destination} size={delivered} title={t.nextRun} /></Dialog>}
      {dialog === "drop" && <Dialog title={t.dropTitle} onClose={() => setDialog(null)} foot={<><button class="button" type="button" autofocus onClick={() => setDialog(null)}>{t.keepIt}</button><button class="button danger" type="button" onClick={() => void drop()}>{t.drop}</button></>}><p>{t.dropText(count(delivered))}</p></Dialog>}
    </>
  );
}

/** While a run is under way, or was asked for just now, the page looks again every two seconds. */
function useRefreshing(on: boolean, reload: () => void): void {
  const latest = useRef(reload);
  latest.current = reload;
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => latest.current(), 2000);
    return () => clearInterval(timer);
  }, [on]);
}

function Figures({ rows, whole }: { rows: [string, number, boolean][]; whole: number }) {
  return <div class="stack tight">{rows.map(([label, n, out]) => <div key={label}><div class="spread"><span>{label}</span><b class={out ? "down" : ""}>{out ? `−${count(n)}` : count(n)}</b></div><Meter part={n} whole={whole} out={out} /></div>)}</div>;
}

function ChangeSchedule({ sync, onClose, onDone }: { sync: Sync; onClose: () => void; onDone: () => void }) {
  const [schedule, setSchedule] = useState(readSchedule(sync));
  const [error, setError] = useState<Refusal | null>(null);
  const save = () => ask("PUT", syncPath(sync.cohort, sync.destination), { body: writeSchedule(schedule) }).then(() => { onDone(); onClose(); }, (failed: Refusal) => setError(failed));
  return (
    <Dialog title={t.changeSchedule} onClose={onClose} foot={<><button class="button" type="button" onClick={onClose}>{common.cancel}</button><button class="button primary" type="button" onClick={() => void save()}>{t.saveSync}</button></>}>
      {error && <Failure error={error} />}<ScheduleForm value={schedule} onChange={setSchedule} />
    </Dialog>
  );
}
