// The recipes of the documentation, as templates for new cohorts.
import recipes from "../../../docs/RECIPES.md";
import { parse, type Json } from "./rule/json";

export interface Template { section: string; title: string; rule: Json }

export function templatesOf(text: string): Template[] {
  return text.split(/^## /m).slice(1).flatMap(chapter => {
    const section = chapter.slice(0, chapter.indexOf("\n"));
    return chapter.split(/^### /m).slice(1).flatMap(recipe => {
      const title = recipe.slice(0, recipe.indexOf("\n"));
      const json = /```json\n([\s\S]*?)```/.exec(recipe)?.[1];
      return json === undefined ? [] : [{ section, title, rule: parse(json) }];
    });
  });
}

export const templates = templatesOf(recipes);
