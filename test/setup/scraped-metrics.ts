import assert from 'node:assert/strict';

const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf|NaN)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

interface Family {
  readonly type: string;
  readonly samples: Map<string, number>;
}

/**
 * What a scrape says, read as strictly as Prometheus's own checker does: each family once, help and type before its
 * samples, no sample twice, counters end in `_total`, buckets grow and end in +Inf. Throws at what is not so.
 */
export class ScrapedMetrics {
  readonly #families = new Map<string, Family>();

  constructor(text: string) {
    assert(text.endsWith('\n'), 'the last line has no end');
    let family: Family | undefined;
    let name = '';
    for (const line of text.slice(0, -1).split('\n')) {
      const [, comment, of = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
      if (comment === 'HELP') {
        assert(!this.#families.has(of), `family ${of} is there twice`);
        name = of;
        family = undefined;
      } else if (comment === 'TYPE') {
        assert.equal(of, name, 'help and type are of one family');
        assert.match(rest, /^(counter|gauge|histogram)$/);
        assert(rest !== 'counter' || of.endsWith('_total'), `counter ${of} does not end in _total`);
        family = { type: rest, samples: new Map() };
        this.#families.set(of, family);
      } else {
        assert(family !== undefined, `no help and type before: ${line}`);
        addSample(family, name, line);
      }
    }
    for (const [of, { type, samples }] of this.#families) if (type === 'histogram') checkBuckets(of, samples);
  }

  get names(): string[] {
    return [...this.#families.keys()];
  }

  /** The number of a sample, as `name{a="1",b="2"}` with the labels in order; undefined when it is not there. */
  value(sample: string): number | undefined {
    for (const { samples } of this.#families.values()) {
      const value = samples.get(sample);
      if (value !== undefined) return value;
    }
    return undefined;
  }
}

function addSample({ type, samples }: Family, family: string, line: string): void {
  const match = SAMPLE.exec(line);
  assert(match !== null, `not a sample: ${line}`);
  const [, name = '', labels = '', value] = match;
  const suffix = name.slice(family.length);
  const allowed = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  assert(name.startsWith(family) && allowed.includes(suffix), `${name} is not of ${family}`);
  const pairs = [...labels.matchAll(LABEL)].map(([pair]) => pair).sort();
  const key = pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
  assert(!/\bquantile=/.test(labels), `${name} is no summary and has quantiles`);
  assert(!samples.has(key), `sample ${key} is there twice`);
  samples.set(key, value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value));
}

function checkBuckets(family: string, samples: ReadonlyMap<string, number>): void {
  const last = new Map<string, { le: number; count: number }>();
  for (const [key, count] of samples) {
    if (!key.startsWith(`${family}_bucket`)) continue;
    const le = Number((/le="([^"]*)"/.exec(key)?.[1] ?? '').replace('+Inf', 'Infinity'));
    const others = key
      .replace(/,?le="[^"]*"/, '')
      .replace('{,', '{')
      .replace('{}', '');
    const before = last.get(others);
    assert(before === undefined || (le > before.le && count >= before.count), `buckets of ${others} go back`);
    last.set(others, { le, count });
  }
  for (const [others, { le, count }] of last) {
    assert.equal(le, Number.POSITIVE_INFINITY, `buckets of ${others} have no +Inf`);
    assert.equal(samples.get(others.replace('_bucket', '_count')), count, `count of ${others} is another`);
    assert(samples.has(others.replace('_bucket', '_sum')), `${others} has no sum`);
  }
}
