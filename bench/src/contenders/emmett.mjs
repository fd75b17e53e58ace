// Appends one event to a new stream repeatedly, with as many clients as each line of input says.
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import pg from 'pg';

const { BENCH_DATABASE_URL, BENCH_CONNECTIONS, BENCH_STREAM_TYPE, BENCH_EVENT_TYPE, BENCH_PAYLOAD } = process.env;
const pool = new pg.Pool({ connectionString: BENCH_DATABASE_URL, max: Number(BENCH_CONNECTIONS) });
const store = getPostgreSQLEventStore(BENCH_DATABASE_URL, { connectionOptions: { pool } });
await store.schema.migrate();
const template = JSON.parse(BENCH_PAYLOAD);
const event = (id) => {
  const data = { ...template };
  if ('id' in data) data.id = id;
  if (data.account) data.account = { ...data.account, email: `${id}@example.com` };
  return { type: BENCH_EVENT_TYPE, data };
};
let acknowledged = 0;

async function client(until, latencies) {
  while (performance.now() < until) {
    const id = randomUUID();
    const begun = performance.now();
    await store.appendToStream(`${BENCH_STREAM_TYPE}-${id}`, [event(id)], {
      expectedStreamVersion: 'STREAM_DOES_NOT_EXIST',
    });
    const microseconds = Math.max(1, Math.round((performance.now() - begun) * 1000));
    latencies.set(microseconds, (latencies.get(microseconds) ?? 0) + 1);
    acknowledged += 1;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { clients, time_ms } = JSON.parse(line);
  const latencies = new Map();
  const begun = performance.now();
  await Promise.all(Array.from({ length: clients }, () => client(begun + time_ms, latencies)));
  const elapsed_us = Math.round((performance.now() - begun) * 1000);
  console.log(JSON.stringify({ elapsed_us, latencies: [...latencies] }));
}
const { rows } = await pool.query('SELECT count(*)::int AS stored FROM emt_messages');
console.log(rows[0].stored === acknowledged ? '' : `${acknowledged} appends, ${rows[0].stored} messages`);
await pool.end();
process.exit(0);
