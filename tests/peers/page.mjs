// A reader of a page on disk: opens it in Chromium and writes down what it shows, asks for and complains of.
//
//   node page.mjs --executable FILE [--screenshots PREFIX] FILE.html
//
// The result is JSON on stdout. With `--screenshots` it is drawn light, dark, narrow and as printed.
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: { executable: { type: 'string' }, screenshots: { type: 'string' } },
});
const url = pathToFileURL(positionals[0]).href;
const seen = { requests: [], console: [], errors: [], dialogs: 0, overflow: [] };
const browser = await chromium.launch({
  executablePath: args.executable,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
try {
  const looks = {
    light: { viewport: { width: 1180, height: 900 }, colorScheme: 'light' },
    dark: { viewport: { width: 1180, height: 900 }, colorScheme: 'dark' },
    narrow: { viewport: { width: 390, height: 800 }, colorScheme: 'light' },
  };
  for (const [name, look] of Object.entries(looks)) {
    const page = await browser.newPage(look);
    page.setDefaultTimeout(20_000);
    page.on('request', (request) => request.url() !== url && seen.requests.push(request.url()));
    page.on('console', (message) => seen.console.push(message.text()));
    page.on('pageerror', (error) => seen.errors.push(String(error)));
    page.on('dialog', (dialog) => { seen.dialogs += 1; return dialog.dismiss(); });
    await page.goto(url, { waitUntil: 'load' });
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) seen.overflow.push(name);
    seen[name] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    if (name === 'light') {
      const texts = (selector) => page.locator(selector).allTextContents();
      seen.heading = await page.textContent('h1');
      seen.result = await page.textContent('.result');
      seen.text = await page.innerText('body');
      seen.headings = await texts('h2');
      seen.header = await texts('.by-type thead th');
      seen.rows = await page.locator('.by-type tbody tr, .by-type tfoot tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText)));
      seen.charts = await page.locator('svg').evaluateAll((charts) => charts.map((chart) => ({
        label: chart.getAttribute('aria-label'), bars: chart.querySelectorAll('rect.bar').length,
        drawn: chart.getBoundingClientRect().width * chart.getBoundingClientRect().height,
      })));
      seen.active = await page.evaluate(() => document.querySelectorAll('script, img, iframe, object, [onerror], [onload]').length);
      if (args.screenshots) {
        await page.emulateMedia({ media: 'print' });
        await page.screenshot({ path: `${args.screenshots}-print.png`, fullPage: true });
        await page.emulateMedia({ media: 'screen' });
      }
    }
    if (args.screenshots) await page.screenshot({ path: `${args.screenshots}-${name}.png`, fullPage: true });
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
