/** The demo front end's page and its style; the browser tests use its element ids. */

/** @param settings attributes for `body`, already escaped */
export function pageHtml(settings: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Orders: a demo front end</title>
    <link rel="stylesheet" href="/page.css" />
    <link rel="icon" href="data:," />
    <script type="module" src="/page.js"></script>
  </head>
  <body ${settings}>
    <main>
      <h1>Orders</h1>
      <p class="what">A demo front end. The token broker signs people in for it; no token is kept here.</p>
      <section aria-labelledby="who">
        <h2 id="who">Session</h2>
        <p role="status"><span id="status">Loading…</span> <strong id="name"></strong></p>
        <p id="problem" role="alert" hidden></p>
        <div class="buttons">
          <button id="sign-in" type="button" hidden>Sign in</button>
          <button id="call-api" type="button" hidden>Show my orders</button>
          <button id="sign-out" type="button" class="quiet" hidden>Sign out</button>
        </div>
      </section>
      <section aria-labelledby="answer" id="answer-section" hidden>
        <h2 id="answer">Answer of the API</h2>
        <pre id="api-answer" tabindex="0" aria-live="polite"></pre>
      </section>
      <noscript><p role="alert">This page calls the broker by script. Allow JavaScript.</p></noscript>
    </main>
  </body>
</html>
`
}

export const pageStyle = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f6f7f9, #14171c);
  --paper: light-dark(#ffffff, #1d2229);
  --ink: light-dark(#1b1f24, #e8ebef);
  --faint: light-dark(#59636e, #9aa5b1);
  --line: light-dark(#d4d9df, #39414b);
  --deed: light-dark(#0f5ea8, #6cb2f2);
  --on-deed: light-dark(#ffffff, #10161d);
  --wrong: light-dark(#a3191f, #ff9a94);
  font: 1rem/1.5 system-ui, sans-serif;
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); }
main { max-width: 44rem; margin: 0 auto; padding: clamp(1.25rem, 5vw, 3rem) 1rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1rem; margin: 0 0 .5rem; color: var(--faint); font-weight: 600; }
.what { color: var(--faint); margin: .5rem 0 1.5rem; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem; margin-bottom: 1rem; }
section p { margin: 0 0 1rem; overflow-wrap: anywhere; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; }
button { min-height: 2.75rem; padding: .5rem 1.25rem; font: inherit; font-weight: 600; border-radius: .5rem; border: 1px solid var(--deed); background: var(--deed); color: var(--on-deed); cursor: pointer; flex: 1 1 10rem; }
button.quiet { background: transparent; color: inherit; border-color: var(--line); }
button:disabled { opacity: .6; cursor: progress; }
:focus-visible { outline: 3px solid #e07b00; outline-offset: 2px; }
[hidden] { display: none; }
[role=alert] { color: var(--wrong); }
strong { white-space: nowrap; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .875rem/1.5 ui-monospace, monospace; }
`
