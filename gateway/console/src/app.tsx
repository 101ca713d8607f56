// The session, the bar, and which page a path is.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, get, holdSession, Refusal, whenSignedOut, type Session } from "./api";
import { BuilderPage } from "./pages/builder";
import { CohortPage } from "./pages/cohort";
import { CohortsPage } from "./pages/cohorts";
import { CustomerPage, CustomersPage } from "./pages/customers";
import { DestinationPage, DestinationsPage } from "./pages/destinations";
import { EventsPage } from "./pages/events";
import { OperationPage } from "./pages/operation";
import { SignIn } from "./pages/sign-in";
import { NewSyncPage, SyncPage, SyncsPage } from "./pages/syncs";
import { Find } from "./parts/find";
import { Icon } from "./parts/icons";
import { Dialog, Empty, Failure, Menu } from "./parts/parts";
import { go, Link, useRoute } from "./router";
import { inBox, kept, lettersOn, SharedContext, switchTheme, useKeys, type Shared, type Toast } from "./state";
import { common, shell as t } from "./texts";

const PAGES = [["cohorts", "/"], ["customers", "/customers"], ["events", "/events"], ["syncs", "/syncs"], ["destinations", "/destinations"], ["operation", "/operation"]] as const;

export function App() {
  const [session, setSession] = useState<Session | null | undefined>(undefined);
  const [expired, setExpired] = useState(false);
  const [error, setError] = useState<Refusal | null>(null);
  const load = () => {
    get<Session>("/v1/session").then(found => { setError(null); start(found); }, (failed: unknown) => {
      if (failed instanceof Refusal && failed.status === 401) setSession(null);
      else setError(failed instanceof Refusal ? failed : new Refusal(-1, String(failed)));
    });
  };
  const start = (found: Session | null) => {
    holdSession(found);
    setSession(found);
  };
  useEffect(() => {
    whenSignedOut(() => {
      setExpired(true);
      start(null);
    });
    load();
  }, []);
  if (error && session === undefined) return <main class="sign-in"><Failure error={error} again={load} /></main>;
  if (session === undefined) return null;
  if (session === null) return <SignIn expired={expired} onSession={start} />;
  const signOut = () => {
    ask("DELETE", "/v1/session").catch(() => undefined).finally(() => {
      setExpired(false);
      start(null);
    });
  };
  return <Shell session={session} signOut={signOut} />;
}

function Shell({ session, signOut }: { session: Session; signOut: () => void }) {
  const route = useRoute();
  const [toast, setToast] = useState<Toast | null>(null);
  const [open, setOpen] = useState(false);
  const [keysShown, setKeysShown] = useState(false);
  const [letters, setLetters] = useState(lettersOn());
  const shared = useMemo<Shared>(() => ({ session, say: setToast, signOut }), [session]);
  const main = useRef<HTMLElement>(null);
  const place = route.parts.join("/");
  const before = useRef(place);
  useEffect(() => {
    if (!toast) return undefined;
    const timer = setTimeout(() => setToast(null), 8000);
    return () => clearTimeout(timer);
  }, [toast]);
  useEffect(() => {
    setOpen(false);
    if (before.current === place) return;
    before.current = place;
    scrollTo(0, 0);
    main.current?.focus();
  }, [place]);
  useKeys(event => {
    if (event.ctrlKey || event.metaKey || event.altKey || inBox(event.target) || !letters) return;
    const act = { "/": () => document.querySelector<HTMLElement>(".find input")?.focus(), n: () => go("/cohorts/new"), "?": () => setKeysShown(true) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  const current = route.parts[0] ?? "cohorts";
  return (
    <SharedContext.Provider value={shared}>
      <a class="skip" href="#main" onClick={event => { event.preventDefault(); main.current?.focus(); }}>{t.skip}</a>
      <header class="top">
        <div class="top-in">
          <button class="button square menu-button" type="button" aria-label={t.menu} aria-expanded={open} onClick={() => setOpen(!open)}><Icon name="menu" /></button>
          <Link class="brand" to="/">{t.brand}</Link>
          <nav class={`nav ${open ? "open" : ""}`} aria-label={t.main}>
            {PAGES.filter(([name]) => name !== "operation" || session.may.operate || session.may.read).map(([name, to]) => <Link key={name} to={to} aria-current={current === name ? "page" : undefined}>{t.pages[name]}</Link>)}
          </nav>
          <div class="top-end">
            <Find />
            <button class="button square" type="button" aria-label={t.theme} onClick={switchTheme}><Icon name="half" /></button>
            <Menu label={t.account(session.role)} class="linkish" content={session.role} items={[
              { text: t.keys, key: "?", act: () => setKeysShown(true) }, { text: t.letters(letters), act: () => { kept.write("letters", letters ? "off" : null); setLetters(!letters); } }, { text: t.signOut, act: signOut },
            ]} />
          </div>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}><Page key={place} parts={route.parts} query={route.query} /></main>
      <div role="status" aria-live="polite">{toast && (
        <div class="toast"><span>{toast.text}</span>{toast.undo && <button type="button" onClick={() => { toast.undo?.(); setToast(null); }}>{toast.undoText ?? common.undo}</button>}</div>
      )}</div>
      {keysShown && (
        <Dialog title={t.keysTitle} onClose={() => setKeysShown(false)} foot={<button class="button" type="button" onClick={() => setKeysShown(false)}>{common.close}</button>}>
          <dl class="pairs">{t.keyList.map(([key, what]) => <><dt><kbd>{key}</kbd></dt><dd>{what}</dd></>)}</dl>
          <p class="small quiet">{t.lettersOff}</p>
        </Dialog>
      )}
    </SharedContext.Provider>
  );
}

function Page({ parts, query }: { parts: string[]; query: URLSearchParams }) {
  const [page, one, two] = parts;
  switch (page) {
    case undefined: return <CohortsPage />;
    case "cohorts":
      if (one === undefined) return <CohortsPage />;
      if (one === "new" && two === undefined) return <BuilderPage name={null} template={query.get("template")} />;
      if (two === "edit") return <BuilderPage name={one} template={null} />;
      if (two === "sync") return <NewSyncPage cohort={one} />;
      return <CohortPage name={one} />;
    case "customers": return one === undefined ? <CustomersPage /> : <CustomerPage id={one} />;
    case "events": return <EventsPage chosen={query.get("type")} />;
    case "syncs": return one !== undefined && two !== undefined ? <SyncPage cohort={one} destination={two} /> : <SyncsPage />;
    case "destinations": return one === undefined ? <DestinationsPage /> : <DestinationPage name={one === "new" ? null : one} />;
    case "operation": return <OperationPage />;
    default: return <Empty whole title={t.notFound} actions={<Link class="button" to="/">{t.toCohorts}</Link>} />;
  }
}
