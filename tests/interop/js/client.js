// The steps of the interoperability matrix by KafkaJS; talks to lane.py's `converse`.   client.js BOOTSTRAP
'use strict'
const assert = require('assert')
const readline = require('readline')
const zlib = require('zlib')
const { Kafka, CompressionTypes, CompressionCodecs, PartitionAssigners, ConfigResourceTypes, logLevel } = require('kafkajs')
const Snappy = require('kafkajs-snappy')

CompressionCodecs[CompressionTypes.Snappy] = Snappy
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => zlib.zstdCompressSync(encoder.buffer),
  decompress: async buffer => zlib.zstdDecompressSync(buffer),
})
const CODECS = { none: 0, gzip: 1, snappy: 2, zstd: 4 }
const kafka = new Kafka({
  brokers: [process.argv[2]], clientId: 'kjs', logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 100 },
})
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const wrote = {}
const SECONDS_MAX = 60

async function step (name, action) {
  try {
    await action()
    console.log('step', name, 'ok')
  } catch (error) {
    console.error(error)
    console.log('step', name, String(error).replace(/\n/g, ' ').slice(0, 500))
  }
}

async function until (what, condition) {
  const end = Date.now() + SECONDS_MAX * 1000
  while (!condition()) {
    if (Date.now() > end) throw new Error(`no ${what} within ${SECONDS_MAX} s`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

function makeRecords (seed, count) {
  let state = seed * 7919 + 1
  const random = () => (state = (state * 48271) % 2147483647)
  return Array.from({ length: count }, (_, i) => {
    const body = Buffer.alloc([0, 1, 7, 40, 200, 1100][random() % 6])
    if (i % 2) for (let n = 0; n < body.length; n++) body[n] = random() % 256
    return { key: Buffer.from(`key-${i % 17}`), value: Buffer.concat([Buffer.from(`${seed}.${i}|`), body]), partition: 0,
      headers: { n: String(i) } }
  })
}

async function producer (idempotent) {
  const made = kafka.producer({ idempotent, maxInFlightRequests: 1 })
  await made.connect()
  return made
}

async function send (client, topic, codec, records, atHalf) {
  for (let first = 0; first < records.length; first += 100) {
    const sent = client.send({ topic, compression: CODECS[codec], acks: -1, messages: records.slice(first, first + 100) })
    if (atHalf && first * 2 === records.length) atHalf() // while this one is in flight
    await sent
  }
  wrote[topic] = (wrote[topic] || []).concat(records)
}

// A consumer of a group with what it owns and read. KafkaJS has no consumers outside groups and no static members.
async function join (groupId, topic) {
  const member = { owned: [], records: [], client: kafka.consumer({
    groupId, sessionTimeout: 10000, heartbeatInterval: 300, maxWaitTimeInMs: 200, partitionAssigners: [PartitionAssigners.roundRobin],
  }) }
  member.client.on(member.client.events.GROUP_JOIN, event => {
    member.owned = (event.payload.memberAssignment[topic] || []).slice().sort()
  })
  await member.client.connect()
  await member.client.subscribe({ topics: [topic], fromBeginning: true })
  await member.client.run({
    autoCommit: false,
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch }) => {
      for (const message of batch.messages) {
        member.records.push({ partition: batch.partition, offset: Number(message.offset), key: message.key, value: message.value })
      }
    },
  })
  member.commit = async () => {
    const next = {}
    for (const { partition, offset } of member.records) next[partition] = Math.max(next[partition] || 0, offset + 1)
    await member.client.commitOffsets(Object.entries(next).filter(([p]) => member.owned.includes(Number(p)))
      .map(([p, offset]) => ({ topic, partition: Number(p), offset: String(offset) })))
  }
  member.values = partition => {
    const at = new Map(member.records.filter(r => r.partition === partition).map(r => [r.offset, String(r.value)]))
    return [...at.keys()].sort((a, b) => a - b).map(offset => at.get(offset))
  }
  member.close = () => member.client.disconnect()
  return member
}

async function check (topic) {
  const member = await join('read-' + topic + Object.keys(wrote).length + wrote[topic].length, topic)
  await until('end of reading ' + topic, () => member.records.length >= wrote[topic].length)
  await member.close()
  assert.strictEqual(member.records.length, wrote[topic].length, topic)
  member.records.forEach((record, i) => {
    assert.strictEqual(record.offset, i, topic)
    assert(record.key.equals(wrote[topic][i].key) && record.value.equals(wrote[topic][i].value), `${topic}: record ${i} is changed`)
  })
}

const names = (partition, first, count) => Array.from({ length: count }, (_, i) => `${partition}-${first + i}`)

async function main () {
  const admin = kafka.admin()
  await admin.connect()
  const kept = await producer(false)
  const plain = await producer(true)
  const sendValues = async (topic, first, count) => {
    for (let partition = 0; partition < 4; partition++) {
      await plain.send({ topic, messages: names(partition, first, count).map(value => ({ partition, value })) })
    }
  }

  await step('topic', async () => {
    const wanted = { 'kj-idempotent': 1, 'kj-killed': 1, 'kj-group': 4, 'kj-resume': 4 }
    for (const codec of Object.keys(CODECS)) wanted['kj-' + codec] = 1
    await admin.createTopics({ topics: Object.entries(wanted).map(([topic, numPartitions]) => ({ topic, numPartitions })) })
    for (const told of (await admin.fetchTopicMetadata({ topics: Object.keys(wanted) })).topics) {
      assert.strictEqual(told.partitions.length, wanted[told.name], told.name)
    }
  })
  let seed = 0
  for (const codec of Object.keys(CODECS)) await step(codec, () => send(kept, 'kj-' + codec, codec, makeRecords(++seed, 400)))
  await step('idempotent', async () => {
    const client = await producer(true)
    await send(client, 'kj-idempotent', 'none', makeRecords(20, 1500))
    await client.disconnect()
    await check('kj-idempotent')
  })
  await step('read-back', async () => { for (const topic of Object.keys(wrote)) await check(topic) })
  await step('group', async () => {
    await sendValues('kj-group', 0, 50)
    const first = await join('pair-kj', 'kj-group')
    await until('member that owns all', () => first.owned.length === 4)
    const second = await join('pair-kj', 'kj-group')
    await until('split in halves', () => first.owned.length === 2 && second.owned.length === 2)
    assert.strictEqual(new Set([...first.owned, ...second.owned]).size, 4)
    await sendValues('kj-group', 50, 50)
    for (let partition = 0; partition < 4; partition++) {
      const owner = first.owned.includes(partition) ? first : second
      await until('end of reading', () => owner.values(partition).slice(-1)[0] === `${partition}-99`)
      assert.deepStrictEqual(owner.values(partition).slice(-50), names(partition, 50, 50))
    }
    await first.commit()
    await second.commit()
    await second.close()
    const count = first.records.length
    await until('inheritance of the one that left', () => first.owned.length === 4)
    await sendValues('kj-group', 100, 1)
    await until('reading as the only one', () => first.records.length >= count + 4)
    await first.commit()
    assert.strictEqual(first.records.length, count + 4, 'what was committed was read again')
    await first.close()
  })
  await step('admin', async () => {
    await admin.createTopics({ topics: [{ topic: 'kj-admin', numPartitions: 1 }] })
    await admin.createPartitions({ topicPartitions: [{ topic: 'kj-admin', count: 3 }] })
    const resource = { type: ConfigResourceTypes.TOPIC, name: 'kj-admin' }
    await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] })
    const told = await admin.describeConfigs({ resources: [{ ...resource, configNames: ['retention.ms'] }], includeSynonyms: false })
    assert.strictEqual(told.resources[0].configEntries[0].configValue, '7200000')
    await admin.deleteTopicRecords({ topic: 'kj-group', partitions: [{ partition: 3, offset: '10' }] })
    const offsets = (await admin.fetchTopicOffsets('kj-group')).find(o => o.partition === 3)
    assert.deepStrictEqual([offsets.low, offsets.high], ['10', '101'])
    assert((await admin.listGroups()).groups.some(g => g.groupId === 'pair-kj'))
    assert.strictEqual((await admin.describeGroups(['pair-kj'])).groups[0].state, 'Empty')
    const [committed] = await admin.fetchOffsets({ groupId: 'pair-kj', topics: ['kj-group'] })
    assert.deepStrictEqual(committed.partitions.map(p => p.offset), ['101', '101', '101', '101'])
    await admin.setOffsets({ groupId: 'pair-kj', topic: 'kj-group', partitions: [{ partition: 1, offset: '7' }] })
    const [moved] = await admin.fetchOffsets({ groupId: 'pair-kj', topics: ['kj-group'] })
    assert.strictEqual(moved.partitions.find(p => p.partition === 1).offset, '7')
    await admin.resetOffsets({ groupId: 'pair-kj', topic: 'kj-group', earliest: true })  // as a commit of -2
    const [reset] = await admin.fetchOffsets({ groupId: 'pair-kj', topics: ['kj-group'], resolveOffsets: true })
    assert.strictEqual(reset.partitions.find(p => p.partition === 3).offset, '10')
    await admin.deleteGroups(['pair-kj'])
    assert(!(await admin.listGroups()).groups.some(g => g.groupId === 'pair-kj'))
    await admin.deleteTopics({ topics: ['kj-admin'] })
  })
  await step('sigkill', async () => {
    const client = await producer(true)
    await send(client, 'kj-killed', 'none', makeRecords(30, 4000), () => console.log('kill'))
    assert.strictEqual((await lines.next()).value, 'killed')
    await client.disconnect()
    await check('kj-killed')
  })
  await step('resume', async () => {
    const all = (member, count) => [0, 1, 2, 3].every(p => member.values(p).length >= count)
    await sendValues('kj-resume', 0, 40)
    const living = await join('resume-kj', 'kj-resume')
    await until('first reading', () => all(living, 40))
    await living.commit()
    console.log('kill')
    assert.strictEqual((await lines.next()).value, 'killed')
    await sendValues('kj-resume', 40, 40)
    await until('reading after the kill', () => all(living, 80))
    for (let p = 0; p < 4; p++) assert.deepStrictEqual(living.values(p), names(p, 0, 80))
    const [committed] = await admin.fetchOffsets({ groupId: 'resume-kj', topics: ['kj-resume'] })
    assert.deepStrictEqual(committed.partitions.map(p => p.offset), ['40', '40', '40', '40'])
    await living.close()
    const fresh = await join('resume-kj', 'kj-resume')
    await until('reading of a new member', () => all(fresh, 40))
    for (let p = 0; p < 4; p++) assert.deepStrictEqual(fresh.values(p), names(p, 40, 40))
    await fresh.close()
  })
  await step('go-on', async () => {
    await send(kept, 'kj-zstd', 'zstd', makeRecords(40, 300)) // a client that lived through the kill
    const client = await producer(false)
    await send(client, 'kj-gzip', 'gzip', makeRecords(41, 300))
    await client.disconnect()
    for (const topic of Object.keys(wrote)) await check(topic)
  })
  await Promise.all([admin, kept, plain].map(client => client.disconnect()))
  process.exit(0)
}

console.log('kafkajs', require('kafkajs/package.json').version, 'node', process.version)
main()
