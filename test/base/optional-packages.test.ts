import t from 'tap'
import { missingPackage } from '../../src/base/optional-packages.ts'

t.test('the package that an import or a require lacks is named, with how to install it', async (t) => {
  const expected = 'the optional package koffi is not installed: npm install koffi@3'
  t.equal(missingPackage(new Error("Cannot find package 'koffi' imported from /a/b.js")), expected)
  t.equal(missingPackage(new Error("Cannot find module 'koffi'\nRequire stack:\n- /a/b.js")), expected)
  t.match(
    missingPackage(new Error("Cannot find package '@tensorflow/tfjs-core' imported from /a")),
    /: npm install .+tfjs-layers@4/,
  )
})

t.test('other failures are not taken for a missing optional package', async (t) => {
  t.equal(missingPackage(new Error("Cannot find module '/a/koffi/b.js'")), undefined)
  t.equal(missingPackage(new Error("Cannot find package 'shop' imported from /a/b.js")), undefined)
  t.equal(missingPackage('koffi'), undefined)
})
