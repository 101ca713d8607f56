// Operation: the index, the workers, what holds them up, and the keys of programs.
import { useState } from "preact/hooks";
import { ask, get, part, post, Refusal, type List } from "../api";
import { Await, CopyButton, Dialog, Empty, Failure, Field, Note, Panel } from "../parts/parts";
import { isObject, print, type Json, type JsonObject } from "../rule/json";
import { useLoad, useShared, useTitle } from "../state";
import { ago, common, count, day, figure, operation as t, took } from "../texts";

interface Operation { version: { library: string; extension: string; segment_format: number }; index: JsonObject | null; workers: JsonObject[] | null; progress: JsonObject[] | null; problems: JsonObject[] | null; retention: JsonObject[] | null; captures: JsonObject[] | null }
interface Key { label: string; role: string; created_at: string; created_by: string; last_used_at: string | null; expires_at: string | null; usable: boolean }

function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const at = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, n)) / 3));
  return `${(n / 1000 ** at).toFixed(at === 0 ? 0 : 1)} ${units[at]}`;
}

function shown(key: string, value: Json): string {
  if (value === null) return "–";
  if (typeof value === "number") return key === "bytes" ? bytes(value) : count(value);
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) return ago(value);
  return isObject(value) || Array.isArray(value) ? print(value) : figure(value);
}

export function OperationPage() {
  useTitle(t.title);
  const { session, say } = useShared();
  const loaded = useLoad("operation", signal => get<Operation>("/v1/operation", signal));
  const seal = () => post<{ events: number; took_ms: number }>("/v1/operation/seal").then(done => { say({ text: t.sealed(count(done.events), took(done.took_ms)) }); loaded.reload(); }, (failed: Refusal) => say({ text: failed.message }));
  return (
    <>
      <div class="page-head"><div><h1>{t.title}</h1>{loaded.data && <p>{t.version(loaded.data.version.extension)}</p>}</div><div class="row"><button class="button" type="button" onClick={loaded.reload}>{t.lookAgain}</button>{session.may.operate && <button class="button" type="button" onClick={() => void seal()}>{t.seal}</button>}</div></div>
      <Await of={loaded}>{data => (
        <div class="column">
          {(data.problems ?? []).length > 0 && <div class="stack">{data.problems?.map((problem, i) => <Note key={i} tone="warn" title={shown("", problem.what ?? null)}>{[problem.detail, problem.remedy].filter(each => typeof each === "string").join(" ")}</Note>)}</div>}
          {data.problems?.length === 0 && <Note tone="ok" title={t.well} />}
          <div class="grid">
            <div class="half"><Panel title={t.index}>{data.index === null ? <p class="quiet">{t.notYours}</p> : <dl class="pairs">{Object.entries(data.index).map(([key, value]) => <><dt>{t.columns[key] ?? key.replaceAll("_", " ")}</dt><dd>{shown(key, value)}</dd></>)}</dl>}</Panel></div>
            <div class="half"><Rows title={t.workers} rows={data.workers} none={t.noWorkers} /></div>
          </div>
          {(data.progress ?? []).length > 0 && <Rows title={t.progress} rows={data.progress} none="" />}
          {(data.captures ?? []).length > 0 && <Rows title={t.captures} rows={data.captures} none="" />}
          {(data.retention ?? []).length > 0 && <Rows title={t.retention} rows={data.retention} none="" />}
          <Keys />
        </div>
      )}</Await>
    </>
  );
}

function Rows({ title, rows, none }: { title: string; rows: JsonObject[] | null; none: string }) {
  const columns = Object.keys(rows?.[0] ?? {});
  return (
    <Panel title={title} flush>{rows === null ? <div class="body"><p class="quiet">{t.notYours}</p></div> : rows.length === 0 ? <Empty title={none} /> : (
      <div class="scroll" tabIndex={0}><table class="tight"><thead><tr>{columns.map(each => <th scope="col" key={each}>{t.columns[each] ?? each.replaceAll("_", " ")}</th>)}</tr></thead><tbody>{rows.map((row, i) => <tr key={i}>{columns.map(each => <td key={each}>{shown(each, row[each] ?? null)}</td>)}</tr>)}</tbody></table></div>
    )}</Panel>
  );
}

function Keys() {
  const { session } = useShared();
  const keys = useLoad("keys", signal => get<List<Key>>("/v1/api-keys", signal).catch((failed: Refusal) => { if (failed.status === 403 || failed.status === 501) return { items: [] as Key[] }; throw failed; }));
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const revoke = () => void ask("DELETE", `/v1/api-keys/${part(revoking?.label ?? "")}`).then(keys.reload, () => undefined).finally(() => setRevoking(null));
  return (
    <Panel title={t.keys} flush end={<button class="button" type="button" onClick={() => setMaking(true)}>{t.newKey}</button>}>
      <Await of={keys}>{data => (data.items.length === 0 ? <Empty title={t.noKeys}><p>{t.keysText}</p></Empty> : (
        <div class="scroll" tabIndex={0}><table class="tight"><thead><tr><th scope="col">{t.label}</th><th scope="col">{t.role}</th><th scope="col">{t.used}</th><th scope="col">{t.expires}</th><th scope="col"><span class="unseen">{t.revoke}</span></th></tr></thead><tbody>{data.items.map(key => (
          <tr key={key.label}><th scope="row"><bdi>{key.label}</bdi></th><td><bdi>{key.role}</bdi></td><td>{key.last_used_at ? ago(key.last_used_at) : t.never}</td><td>{key.usable ? key.expires_at ? day(key.expires_at) : t.never : t.unusable}</td><td class="num"><button class="linkish" type="button" aria-label={t.revokeKey(key.label)} onClick={() => setRevoking(key)}>{t.revoke}</button></td></tr>
        ))}</tbody></table></div>
      ))}</Await>
      {making && <NewKey role={session.role} onClose={() => { setMaking(false); keys.reload(); }} />}
      {revoking && <Dialog title={t.revokeTitle(revoking.label)} onClose={() => setRevoking(null)} foot={<><button class="button" type="button" autofocus onClick={() => setRevoking(null)}>{t.keep}</button><button class="button danger" type="button" onClick={revoke}>{t.revoke}</button></>}><p>{t.revokeText}</p></Dialog>}
    </Panel>
  );
}

function NewKey({ role, onClose }: { role: string; onClose: () => void }) {
  const [label, setLabel] = useState("");
  const [as, setAs] = useState(role);
  const [key, setKey] = useState<string | null>(null);
  const [error, setError] = useState<Refusal | null>(null);
  const make = () => void post<{ key: string }>("/v1/api-keys", { label: label.trim(), role: as.trim() }).then(made => { setKey(made.key); setError(null); }, (failed: Refusal) => setError(failed));
  return (
    <Dialog title={t.newKey} onClose={onClose} foot={key === null ? <><button class="button" type="button" onClick={onClose}>{common.cancel}</button><button class="button primary" type="button" onClick={make}>{t.make}</button></> : <button class="button primary" type="button" onClick={onClose}>{common.close}</button>}>
      {error && <Failure error={error} />}
      {key === null ? (
        <><Field label={t.label} help={t.labelHelp}>{own => <input class="input" {...own} value={label} onInput={event => setLabel(event.currentTarget.value)} />}</Field><Field label={t.role} help={t.roleHelp}>{own => <input class="input" {...own} value={as} onInput={event => setAs(event.currentTarget.value)} />}</Field></>
      ) : <><Note tone="warn" title={t.shownOnce} /><p class="mono key">{key}</p><CopyButton text={key} /></>}
    </Dialog>
  );
}
