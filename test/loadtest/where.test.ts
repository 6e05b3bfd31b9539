import t from 'tap'
import { kindOf, parseSamples } from '../../loadtest/where/samples.ts'
import { parseThread, rolesOf, takenBetween } from '../../loadtest/where/threads.ts'

const stat = (user: number, system: number) =>
  `42 (a) b) S 1 42 42 0 -1 4194304 1 2 3 4 ${user} ${system} 0 0 20 0 12 0 9 1 2`
const status = (waits: number, preempted: number) =>
  `Name:\tnode\nvoluntary_ctxt_switches:\t${waits}\nnonvoluntary_ctxt_switches:\t${preempted}\n`

t.test('times of a thread are read', (t) => {
  const thread = parseThread([stat(150, 20), '2500000 1000 77\n', status(5, 3)])
  t.same(thread, { user: 1_500_000, system: 200_000, ran: 2500, ready: 1, waits: 5, preempted: 3 })
  t.end()
})

t.test('threads have the roles of their order, and their times add up', (t) => {
  const ids = [1012, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011]
  const roles = rolesOf(ids)
  t.equal(roles.get(1000), 'main thread')
  t.same(
    [1001, 1006].map((id) => roles.get(id)),
    ['V8', 'V8'],
  )
  t.same(
    [1007, 1010].map((id) => roles.get(id)),
    ['libuv', 'libuv'],
  )
  t.same(
    [1011, 1012].map((id) => roles.get(id)),
    ['workers', 'workers'],
  )
  const time = (ran: number) => ({ user: 0, system: 0, ran, ready: 0, waits: 1, preempted: 0 })
  const before = new Map(ids.filter((id) => id !== 1012).map((id) => [id, time(10)]))
  const taken = takenBetween(before, new Map(ids.map((id) => [id, time(id === 1000 ? 25 : 12)])))
  t.equal(taken.get('main thread')!.ran, 15)
  t.equal(taken.get('workers')!.ran, 2 + 12, 'one began meanwhile')
  t.equal(taken.get('V8')!.ran, 12)
  t.end()
})

t.test('samples are read, and their code has a kind', (t) => {
  const samples = parseSamples(`
 12       7f5c1a2b3c4d [unknown] (/app/dist/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1)
 13     55d0a1b2c3d4 v8::internal::Scavenger::ScavengePage(v8::internal::MutablePageMetadata*) (/usr/bin/node)
 13     55d0a1b2c3d4 Builtins_LoadIC (/usr/bin/node)
 13     55d0a1b2c3d4 node::TCPWrap::Connect(v8::FunctionCallbackInfo<v8::Value> const&) (/usr/bin/node)
 13     7f5c00000001 [unknown] ([unknown])
 13     7f5c00000002 [unknown] (//anon)
 13     7f5c00000003 __memmove_avx512_unaligned_erms (/usr/lib/x86_64-linux-gnu/libc.so.6)
 13 ffffffff81000000 _raw_spin_unlock_irq ([kernel.kallsyms])
 13     7f5c00000004 InferenceSessionWrap::Run (/app/bin/onnxruntime_binding.node)
no sample
`)
  t.same(
    samples.map(({ thread }) => thread),
    [12, 13, 13, 13, 13, 13, 13, 13, 13],
  )
  t.same(samples.map(kindOf), [
    'ONNX Runtime',
    'garbage collection',
    'made at run time',
    'Node and V8',
    'made at run time',
    'made at run time',
    'C library',
    'kernel',
    'addons',
  ])
  t.end()
})
