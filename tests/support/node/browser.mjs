// A headless Chromium that tells where its pages went.
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.env.NODE_MODULES}/`)("playwright-core");

export async function withPage(url, options, work, prepare = async () => {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
      ...["--disable-background-networking", "--disable-component-update"],
    ],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
    const elsewhere = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(request.url())) elsewhere.push(request.url());
    });
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    await prepare(page);
    await page.goto(url);
    return { ...(await work(page)), elsewhere, faults };
  } finally {
    await browser.close();
  }
}
