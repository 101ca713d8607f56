// The box in the bar: a cohort by a part of its name, or a customer by id.
import { useEffect, useState } from "preact/hooks";
import { get, part, type Cohort, type Customer, type List } from "../api";
import { go, path } from "../router";
import { shell as t } from "../texts";
import { Suggest } from "./suggest";

export function Find() {
  const [text, setText] = useState("");
  const [found, setFound] = useState<{ text: string; hint: string; to: string }[]>([]);
  useEffect(() => {
    if (text.trim() === "") {
      setFound([]);
      return undefined;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      Promise.all([
        get<List<Cohort>>(`/v1/cohorts?limit=8&search=${part(text)}`, abort.signal), get<List<Customer>>(`/v1/customers?limit=5&search=${part(text)}`, abort.signal),
      ]).then(([cohorts, customers]) => setFound([
        ...cohorts.items.map(each => ({ text: each.name, hint: t.pages.cohorts, to: path("cohorts", each.name) })), ...customers.items.map(each => ({ text: each.customer_id, hint: t.pages.customers, to: path("customers", each.customer_id) })),
      ]), () => undefined);
    }, 200);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [text]);
  const open = (chosen: string) => {
    const target = found.find(each => each.text === chosen) ?? found[0];
    setText("");
    go(target?.to ?? path("customers", chosen));
  };
  return (
    <div class="find">
      <Suggest plain label={t.findLabel} placeholder={t.find} text={text} offers={found} onText={(typed, typing) => (typing ? setText(typed) : open(typed))} onEnter={typed => typed.trim() !== "" && open(typed.trim())} />
    </div>
  );
}
