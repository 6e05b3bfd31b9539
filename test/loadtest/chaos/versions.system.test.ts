import t from 'tap'
import { addVersion, createKnownRequests } from '../../../loadtest/chaos/versions.ts'
import { largestDifference } from '../../../loadtest/competitors/check.ts'
import { temporaryFolder } from '../../support/bundle.ts'

t.test('every version answers every request unlike the others, also where its first weights would not', async (t) => {
  const requests = createKnownRequests(1)
  const folder = await temporaryFolder(t)
  await addVersion(requests, folder, '1')
  const [request] = requests
  const alike = new Map(requests.map(({ expected }) => [expected, expected.get('1')!]))
  await addVersion(requests, folder, '2')
  const first = request!.expected.get('2')!
  // A third version answers just as the second one's first weights do.
  for (const [expected] of alike) {
    expected.set('3', expected.get('2')!)
    expected.delete('2')
  }
  await addVersion(requests, folder, '2')
  t.not(largestDifference(first, request!.expected.get('2')!), 0, 'it has other weights now')
})
