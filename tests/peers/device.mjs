// A person with another device: Chromium opens the address that a device showed, and goes through oidc-provider's pages.
//
//   node device.mjs --executable FILE [--code CODE] [--refuse] URL
//
// With `--code` the code is typed in; else the address has it. Prints what the last page says.
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: { executable: { type: 'string' }, code: { type: 'string' }, refuse: { type: 'boolean', default: false } },
});
const browser = await chromium.launch({
  executablePath: args.executable,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
try {
  const page = await browser.newPage({ viewport: { width: 900, height: 560 } });
  page.setDefaultTimeout(20_000);
  // The provider's pages ask for a font of somebody else's.
  await page.route('**', (route) => (new URL(route.request().url()).hostname === '127.0.0.1' ? route.continue() : route.abort()));
  await page.goto(positionals[0], { waitUntil: 'domcontentloaded' });
  if (args.code) {
    await page.fill('input[name=user_code]', args.code);
    await page.click('button[type=submit]');
  }
  // "Confirm device": the code is shown again.
  await page.waitForSelector('input[name=confirm]', { state: 'attached' });
  if (args.refuse) {
    await page.click('button[value=yes][name=abort]');
  } else {
    await page.click('button[type=submit][autofocus]');
    await page.fill('input[name=login]', 'practitioner-1');
    await page.fill('input[name=password]', 'any');
    await page.click('button[type=submit]');
    await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
    await page.click('button[type=submit]');
  }
  await page.waitForLoadState('load');
  await page.waitForFunction(() => !document.querySelector('input[name=prompt], input[name=confirm]'));
  console.log(await page.innerText('body'));
} finally {
  await browser.close();
}
