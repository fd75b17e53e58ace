// Parses an AsyncAPI document with the parser of AsyncAPI. Prints its errors, or the number of channels and messages.

const { readFileSync } = require('node:fs');
const { Parser } = require('@asyncapi/parser');

const SEVERITY_ERROR = 0;

async function main() {
  const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
  const errors = diagnostics.filter(({ severity }) => severity === SEVERITY_ERROR);
  if (errors.length > 0) {
    throw new Error(errors.map(({ path, message }) => `${path.join('/')}: ${message}`).join('\n'));
  }
  console.log(JSON.stringify({ channels: document.channels().length, messages: document.messages().length }));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
