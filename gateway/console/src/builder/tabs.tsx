// The rule as JSON, which can be edited, and as SQL, for reading.
import { useEffect, useState } from "preact/hooks";
import { CopyButton } from "../parts/parts";
import { page as t } from "../texts";
import { parse, pretty, same, type Json } from "../rule/json";
import type { PlacedProblem } from "./edit";

export function JsonTab({ draft, problems, onChange }: { draft: Json; problems: readonly PlacedProblem[]; onChange: (draft: Json) => void }) {
  const [text, setText] = useState(() => (draft === null ? "" : pretty(draft, 84)));
  const [broken, setBroken] = useState<string | null>(null);
  useEffect(() => {
    // A change from elsewhere, such as Undo, is shown; what is being typed stays as it is written.
    try {
      if (text !== "" && same(parse(text), draft)) return;
    } catch {
      if (broken !== null) return;
    }
    setText(draft === null ? "" : pretty(draft, 84));
  }, [draft]);
  const input = (next: string) => {
    setText(next);
    try {
      const read = next.trim() === "" ? null : parse(next);
      setBroken(null);
      onChange(read);
    } catch (error) {
      setBroken(error instanceof Error ? error.message : String(error));
    }
  };
  const problem = problems[0];
  return (
    <>
      <textarea class="input code" aria-label={t.ruleAsJson} aria-invalid={broken !== null || problem ? "true" : undefined} value={text} spellcheck={false} rows={Math.max(16, text.split("\n").length + 1)} onInput={event => input(event.currentTarget.value)} />
      <footer class="tab-foot">
        <span role="status">{broken !== null ? t.noJson(broken) : problem ? `${problem.path}: ${problem.problem}. ${problem.hint ?? ""}` : t.sameRule}</span>
        <CopyButton text={text} />
      </footer>
    </>
  );
}

export function SqlTab({ sql, old }: { sql: string | null; old: boolean }) {
  return (
    <>
      <pre class={`code ${old ? "quiet" : ""}`} tabIndex={0}>{sql ?? t.noSql}</pre>
      <footer class="tab-foot"><span>{old ? t.oldSql : t.sqlIsForReading}</span>{sql !== null && <CopyButton text={sql} />}</footer>
    </>
  );
}
