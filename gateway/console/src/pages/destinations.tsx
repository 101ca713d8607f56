// Destinations: each kind with its form, and a test whose steps are said in words.
import { useState } from "preact/hooks";
import { ask, get, part, post, Refusal, type Destination, type List } from "../api";
import { Await, Dialog, Empty, Failure, Field, Note, Panel, State } from "../parts/parts";
import { Icon } from "../parts/icons";
import { go, Link, path } from "../router";
import { parse, pretty, type Json, type JsonObject } from "../rule/json";
import { useLoad, useShared, useTitle } from "../state";
import { common, destination as t, plural, sync as syncTexts } from "../texts";

const FORMS: Record<string, readonly (readonly [key: string, needed: boolean])[]> = {
  facebook_ads: [["ad_account_id", true], ["audience_name", false], ["audience_id", false]], meta_pixel: [["pixel_id", true], ["event_name", true]], webhook: [["url", true]],
  s3: [["endpoint", true], ["bucket", true], ["prefix", false], ["region", false]], table: [["table", true], ["customer_column", false]],
};
const KINDS = Object.keys(FORMS);

export function DestinationsPage() {
  useTitle(t.title);
  const { session } = useShared();
  const loaded = useLoad("destinations", signal => get<List<Destination>>("/v1/destinations", signal));
  return (
    <>
      <div class="page-head"><div><h1>{t.title}</h1><p>{t.lead}</p></div>{session.may.operate && <Link class="button primary" to="/destinations/new"><Icon name="plus" />{t.new}</Link>}</div>
      <Await of={loaded}>{data => (
        <section class="panel" aria-label={t.title}>{data.items.length === 0 ? <Empty title={t.noneTitle} actions={session.may.operate && <Link class="button primary" to="/destinations/new">{t.new}</Link>}><p>{t.noneText}</p></Empty> : (
          <table class="cards"><thead><tr><th scope="col">{t.name}</th><th scope="col">{t.kind}</th><th scope="col">{t.owner}</th><th scope="col">{t.secret}</th><th scope="col" class="num">{t.syncs}</th></tr></thead><tbody>{data.items.map(each => (
            <tr key={each.name}><th scope="row" class="name-cell"><Link to={path("destinations", each.name)}><bdi>{each.name}</bdi></Link></th><td>{syncTexts.kinds[each.kind] ?? each.kind}</td><td><bdi>{each.owner}</bdi></td><td class="mono quiet">{each.secret ?? common.none}</td><td class="num">{String(each.syncs ?? 0)}</td></tr>
          ))}</tbody></table>
        )}</section>
      )}</Await>
    </>
  );
}

export function DestinationPage({ name }: { name: string | null }) {
  useTitle(name ?? t.new);
  const loaded = useLoad(name === null ? null : `destination ${name}`, signal => ask<Destination>("GET", `/v1/destinations/${part(name ?? "")}`, { signal }));
  if (name === null) return <Form destination={null} etag={null} onSaved={() => undefined} />;
  return <Await of={loaded} title={name}>{({ data, etag }) => <Form key={etag ?? ""} destination={data} etag={etag} onSaved={loaded.reload} />}</Await>;
}

function Form({ destination, etag, onSaved }: { destination: Destination | null; etag: string | null; onSaved: () => void }) {
  const { say } = useShared();
  const [name, setName] = useState(destination?.name ?? "");
  const [kind, setKind] = useState(destination?.kind ?? "facebook_ads");
  const [config, setConfig] = useState<JsonObject>(destination?.config ?? {});
  const [secret, setSecret] = useState(destination?.secret ?? "");
  const [error, setError] = useState<Refusal | null>(null);
  const [dropping, setDropping] = useState(false);
  const fields = FORMS[kind] ?? [];
  const rest = Object.fromEntries(Object.entries(config).filter(([key]) => !fields.some(([each]) => each === key))) as JsonObject;
  const [more, setMore] = useState(Object.keys(rest).length === 0 ? "" : pretty(rest, 60));
  const editable = destination?.editable ?? true;
  const save = () => {
    let others: Json;
    try {
      others = more.trim() === "" ? {} : parse(more);
    } catch {
      return setError(new Refusal(-1, t.noJson));
    }
    const own = Object.fromEntries(fields.flatMap(([key]) => (config[key] === undefined || config[key] === "" ? [] : [[key, config[key]]]))) as JsonObject;
    const body = { config: { ...own, ...(others as JsonObject) }, ...(secret.trim() === "" ? {} : { secret: secret.trim() }) };
    const request = destination === null ? ask<Destination>("POST", "/v1/destinations", { body: { name: name.trim(), kind, ...body } }) : ask<Destination>("PUT", `/v1/destinations/${part(destination.name)}`, { body, etag });
    return void request.then(({ data }) => { say({ text: t.saved(data.name) }); setError(null); if (destination === null) go(path("destinations", data.name)); else onSaved(); }, (failed: Refusal) => setError(failed));
  };
  const drop = () => ask("DELETE", `/v1/destinations/${part(destination?.name ?? "")}`).then(() => { say({ text: t.dropped }); go("/destinations"); }, (failed: Refusal) => { setDropping(false); setError(failed); });
  return (
    <>
      <div class="page-head"><div><p class="crumb"><Link to="/destinations">{t.title}</Link></p><h1>{destination ? <bdi>{destination.name}</bdi> : t.new}</h1>{destination && <p>{syncTexts.kinds[destination.kind] ?? destination.kind}. {t.owned(destination.owner)} {plural(Number(destination.syncs ?? 0), "sync")}.</p>}</div></div>
      <div class="grid">
        <form class="panel seven" aria-label={t.form} onSubmit={event => { event.preventDefault(); save(); }}>
          <div class="body stack">
            {error && <Failure error={error} />}
            {destination === null && (
              <>
                <Field label={t.name}>{own => <input class="input" {...own} required value={name} onInput={event => setName(event.currentTarget.value)} />}</Field>
                <Field label={t.kind}>{own => <span class="pick"><select class="input" {...own} value={kind} onChange={event => setKind(event.currentTarget.value)}>{KINDS.map(each => <option key={each} value={each}>{syncTexts.kinds[each] ?? each}</option>)}</select></span>}</Field>
              </>
            )}
            {fields.map(([key, needed]) => <Field key={key} label={t.fields[key] ?? key} help={t.help[key]}>{own => <input class="input" {...own} required={needed} disabled={!editable} value={typeof config[key] === "string" ? config[key] as string : config[key] === undefined ? "" : String(config[key])} onInput={event => setConfig({ ...config, [key]: event.currentTarget.value })} />}</Field>)}
            {kind !== "table" && <Field label={t.secret} help={t.secretHelp}>{own => <input class="input mono" {...own} disabled={!editable} autocomplete="off" placeholder="file:name" value={secret} onInput={event => setSecret(event.currentTarget.value)} />}</Field>}
            <Field label={t.more} help={t.moreHelp}>{own => <textarea class="input code-small mono" {...own} disabled={!editable} rows={4} value={more} spellcheck={false} onInput={event => setMore(event.currentTarget.value)} />}</Field>
          </div>
          {editable && <footer><span>{destination && <button class="linkish" type="button" onClick={() => setDropping(true)}>{t.drop}</button>}</span><button class="button primary" type="submit">{common.save}</button></footer>}
        </form>
        <div class="five column">{destination && <Test name={destination.name} />}</div>
      </div>
      {dropping && destination && <Dialog title={t.dropTitle(destination.name)} onClose={() => setDropping(false)} foot={<><button class="button" type="button" autofocus onClick={() => setDropping(false)}>{t.keep}</button><button class="button danger" type="button" onClick={() => void drop()}>{t.drop}</button></>}><p>{t.dropText}</p></Dialog>}
    </>
  );
}

interface TestResult { ok: boolean; items: { step: string; ok: boolean; detail: string | null }[] }

function Test({ name }: { name: string }) {
  const [result, setResult] = useState<TestResult | null>(null);
  const [error, setError] = useState<Refusal | null>(null);
  const [busy, setBusy] = useState(false);
  const test = () => {
    setBusy(true);
    post<TestResult>(`/v1/destinations/${part(name)}/test`).then(found => { setResult(found); setError(null); }, (failed: Refusal) => setError(failed)).finally(() => setBusy(false));
  };
  return (
    <Panel title={t.test} end={<button class="button" type="button" disabled={busy} onClick={test}>{busy ? t.testing : t.testNow}</button>}>
      <div class="stack" role="status">
        {error && <Failure error={error} />}
        {result === null ? <p class="quiet">{t.testHelp}</p> : (
          <>
            <Note tone={result.ok ? "ok" : "bad"} title={result.ok ? t.works : t.worksNot} />
            <ul class="stack tight">{result.items.map(item => <li key={item.step}><State tone={item.ok ? "ok" : "bad"}>{item.step}</State>{item.detail && <p class="small quiet">{item.detail}</p>}</li>)}</ul>
          </>
        )}
      </div>
    </Panel>
  );
}
