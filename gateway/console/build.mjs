// Bundles the console into dist, which the gateway embeds. `node build.mjs test` bundles the unit tests, and
// `node build.mjs watch` bundles again after each change.
import { context, build } from "esbuild";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = fileURLToPath(new URL("../../target/", import.meta.url));

if (process.argv[2] === "test") {
  const out = `${target}console-test`;
  await rm(out, { recursive: true, force: true });
  const tests = (await readdir(`${here}test`)).filter(name => name.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map(name => `${here}test/${name}`), outdir: out, outExtension: { ".js": ".mjs" },
    bundle: true, platform: "node", format: "esm", target: "node18", loader: { ".md": "text" }, sourcemap: "inline",
  });
} else {
  const out = `${here}dist`;
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  await copyFile(`${here}src/icon.svg`, `${out}/icon.svg`);
  const watched = process.argv[2] === "watch";
  const options = {
    entryPoints: { app: `${here}src/main.tsx`, style: `${here}src/style/style.css` },
    outdir: out, entryNames: watched ? "assets/[name]" : "assets/[name]-[hash]", metafile: true,
    bundle: true, minify: !watched, format: "esm", target: ["es2022", "chrome109", "firefox115", "safari16"],
    loader: { ".md": "text" }, jsx: "automatic", jsxImportSource: "preact", legalComments: "eof", logLevel: "warning", plugins: [page(out)],
  };
  if (watched) await (await context(options)).watch();
  else await build(options);
}

/** Writes index.html with the names of the bundles, which carry a hash. */
function page(out) {
  return {
    name: "page",
    setup(build) {
      build.onEnd(async ({ metafile, errors }) => {
        if (errors.length > 0) return;
        const names = Object.keys(metafile.outputs).map(path => path.slice(path.lastIndexOf("assets/")));
        const named = (start, end) => `/${names.find(name => name.startsWith(`assets/${start}`) && name.endsWith(end))}`;
        const html = await readFile(`${here}src/index.html`, "utf8");
        await writeFile(`${out}/index.html`, html.replace("/style.css", named("style", ".css")).replace("/app.js", named("app", ".js")));
      });
    },
  };
}
