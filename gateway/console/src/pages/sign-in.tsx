import { useState } from "preact/hooks";
import { post, Refusal, type Session } from "../api";
import { Field, Note } from "../parts/parts";
import { signIn as t } from "../texts";
import { useTitle } from "../state";

export function SignIn({ expired, onSession }: { expired: boolean; onSession: (session: Session) => void }) {
  useTitle(t.title);
  const [role, setRole] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<Refusal | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      onSession(await post<Session>("/v1/session", { role, password }));
    } catch (failed) {
      setError(failed instanceof Refusal ? failed : new Refusal(-1, String(failed)));
      setPassword("");
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form class="panel" onSubmit={event => void submit(event)}>
        <header><h1>{t.title}</h1></header>
        <div class="body stack">
          {expired && !error && <Note tone="info">{t.expired}</Note>}
          {error && <Note tone="bad" alert title={error.status === 401 ? t.wrong : error.message}>{error.status === 401 ? t.wrongHint : error.hint}</Note>}
          <Field label={t.role}>{own => <input class="input" {...own} name="username" autocomplete="username" autocapitalize="off" spellcheck={false} required value={role} onInput={event => setRole(event.currentTarget.value)} />}</Field>
          <Field label={t.password} help={t.help}>{own => <input class="input" {...own} type="password" name="password" autocomplete="current-password" required value={password} onInput={event => setPassword(event.currentTarget.value)} />}</Field>
          <button class="button primary" type="submit" disabled={busy}>{t.signIn}</button>
        </div>
      </form>
    </main>
  );
}
