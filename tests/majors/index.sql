-- The index and the stamps that it goes by, byte by byte.
SELECT 'events', count(*), md5(string_agg(event_id::text || stamp::text, ',' ORDER BY event_id)) FROM cohort_event;
SELECT 'profiles', count(*), md5(string_agg(customer_id || stamp::text, ',' ORDER BY customer_id COLLATE "C")) FROM cohort_customer;
SELECT 'status', segments, events, dead, bytes, tail, removals, customers, watermark FROM cohort_index_status;
SELECT 'state', * FROM kursaha_cohort.index_state;
SELECT 'segments', count(*), md5(string_agg(s::text, ',' ORDER BY segment_id)) FROM kursaha_cohort.segment s;
SELECT 'pages', count(*), md5(string_agg(segment_id || ' ' || page || ' ' || md5(bytes), ',' ORDER BY segment_id, page)) FROM kursaha_cohort.segment_page;
SELECT 'dead', count(*), md5(string_agg(d::text, ',' ORDER BY d::text COLLATE "C")) FROM kursaha_cohort.segment_dead d;
SELECT 'removed', count(*), md5(string_agg(r::text, ',' ORDER BY r::text COLLATE "C")) FROM kursaha_cohort.event_removed r;
SELECT 'lists', count(*), md5(string_agg(l::text, ',' ORDER BY l::text COLLATE "C")) FROM kursaha_cohort.list_index l;
