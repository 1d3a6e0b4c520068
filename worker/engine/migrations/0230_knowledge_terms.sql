-- Each document that is added changes the counts of many words in place.
alter table worker.knowledge_terms set (fillfactor = 70);
