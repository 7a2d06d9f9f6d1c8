// A person at a browser: Chromium goes through Keycloak's own pages until they are at an end, here or where they lead back to.
//
//   node keycloak.mjs --executable FILE [--result FILE.json] [--user NAME] [--refuse] [--screenshot FILE.png] URL
//
// The result, on stdout without a file, is the paths that the person saw and what the last page shows. `--refuse` cancels where
// Keycloak asks for consent.
import { renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    executable: { type: 'string' },
    result: { type: 'string' },
    user: { type: 'string', default: 'practitioner' },
    refuse: { type: 'boolean', default: false },
    screenshot: { type: 'string' },
  },
});
const isHere = (url) => ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname);
const seen = { paths: [] };
const browser = await chromium.launch({
  executablePath: args.executable,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
// What a page may ask, and what the person does; each ends with a click that leads on.
const answers = [
  ['#password', async (page) => {
    await page.fill('#username', args.user);
    await page.fill('#password', 'any');
    return '#kc-login';
  }],
  ['[name=accept]', async () => (args.refuse ? '[name=cancel]' : '[name=accept]')],
  ['#kc-idp-review-profile-form', async () => '#kc-idp-review-profile-form [type=submit]'],
];
try {
  const page = await browser.newPage({ viewport: { width: 900, height: 700 } });
  page.setDefaultTimeout(30_000);
  await page.route('**', (route) => (isHere(route.request().url()) ? route.continue() : route.abort()));
  await page.goto(positionals[0], { waitUntil: 'load' });
  for (let step = 0; step < 8; step += 1) {
    const url = new URL(page.url());
    seen.paths.push(url.pathname);
    let next;
    for (const [question, answer] of answers) {
      if (!next && (await page.$(question))) next = await answer(page);
    }
    if (!next) break;
    await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.click(next)]);
  }
  seen.url = page.url().split('?')[0];
  seen.heading = await page.textContent('h1');
  seen.text = await page.innerText('body');
  if (args.screenshot) await page.screenshot({ path: args.screenshot });
} catch (error) {
  seen.error = String(error);
} finally {
  await browser.close();
}
if (args.result) {
  writeFileSync(`${args.result}.new`, JSON.stringify(seen));
  renameSync(`${args.result}.new`, args.result);
} else {
  console.log(JSON.stringify(seen));
}
