/** The page of the demo front end on another site; the browser tests use its element ids. */

/** @param settings attributes for `body`, already escaped */
export function otherSitePageHtml(settings: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Orders, on another site: a demo front end</title>
    <link rel="stylesheet" href="/page.css" />
    <link rel="icon" href="data:," />
    <script src="/oidc-client-ts.js" defer></script>
    <script type="module" src="/page.js"></script>
  </head>
  <body ${settings}>
    <main>
      <h1>Orders, on another site</h1>
      <p class="what">A demo front end that shares no site with the token broker: a standard OAuth client, with the published oidc-client-ts.</p>
      <section aria-labelledby="who">
        <h2 id="who">Access</h2>
        <p role="status"><span id="status">Loading…</span> <strong id="expires"></strong></p>
        <p id="scopes-line" hidden>Scopes: <span id="scopes"></span></p>
        <p id="problem" role="alert" hidden></p>
        <div class="buttons">
          <button id="sign-in" type="button" hidden>Sign in</button>
          <button id="call-api" type="button" hidden>Show my orders</button>
          <button id="renew" type="button" class="quiet" hidden>Renew</button>
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
