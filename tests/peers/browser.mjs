// A person at a browser: Chromium goes through oidc-provider's login and consent pages, back to where it is sent.
//
//   node browser.mjs --executable FILE --result FILE.json [--refuse] [--screenshot FILE.png] URL
//
// The result is what the last page shows. With `--refuse` the person signs in and then cancels.
import { renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    executable: { type: 'string' },
    result: { type: 'string' },
    refuse: { type: 'boolean', default: false },
    screenshot: { type: 'string' },
  },
});
const seen = { hosts: [], console: [] };
const isHere = (url) => ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname);

const browser = await chromium.launch({
  executablePath: args.executable,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
try {
  const page = await browser.newPage({ viewport: { width: 900, height: 560 } });
  page.setDefaultTimeout(20_000);
  await page.route('**', (route) => {
    const url = route.request().url();
    seen.hosts.push(new URL(url).host);
    return isHere(url) ? route.continue() : route.abort();
  });
  page.on('console', (message) => seen.console.push(`${page.url().split('?')[0]}: ${message.text()}`));
  await page.goto(positionals[0], { waitUntil: 'domcontentloaded' });
  await page.fill('input[name=login]', 'practitioner-1');
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
  seen.console = [];
  seen.hosts = [];
  const back = page.waitForResponse((response) => /[?&](code|error)=/.test(response.url()) && response.status() !== 303);
  await page.click(args.refuse ? 'a:has-text("Cancel")' : 'button[type=submit]');
  const response = await back;
  await page.waitForSelector('h1');
  seen.status = response.status();
  seen.url = page.url().split('?')[0];
  seen.heading = await page.textContent('h1');
  seen.text = await page.innerText('body');
  seen.mark = await page.evaluate(() => getComputedStyle(document.querySelector('h1'), '::before').color);
  seen.scripts = await page.evaluate(() => document.scripts.length);
  if (args.screenshot) await page.screenshot({ path: args.screenshot });
} catch (error) {
  seen.error = String(error);
} finally {
  await browser.close();
}
writeFileSync(`${args.result}.new`, JSON.stringify(seen));
renameSync(`${args.result}.new`, args.result);
