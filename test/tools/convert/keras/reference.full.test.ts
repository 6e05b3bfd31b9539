import t from 'tap'
import { importedFiles, importsReference, quickest } from '../../../support/keras/reference-files.ts'
import { noReference } from '../../../support/reference.ts'

/* The files of the reference's classes that reference.platform.test.ts doesn't import. */

for (const file of importedFiles.slice(quickest)) t.test(file, { skip: noReference }, (t) => importsReference(t, file))
