-- Forms of Postgres' SELECT and data changes that must parse; separated by lines of '-- @@'.
-- @@
select $1::int + $2
-- @@
select c.relname from pg_catalog.pg_class c where c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default
-- @@
select 't'::regclass, '16384'::pg_catalog.oid, x::pg_catalog.regtype::pg_catalog.text
-- @@
select E'a\nb', $$dollar$$, $t$x$t$, U&'\0041', B'101', X'1F'
-- @@
select now() AT TIME ZONE 'utc' at time zone 'x'
-- @@
select 1 = ANY(ARRAY[1,2]), 1 = ANY('{1}'::int[]), 2 <> ALL (select 1), a = some(array[1])
-- @@
select a[1], a[1:2], a[:2], a[1:], (array[1,2])[1], a[1][2]
-- @@
select interval '1 day', interval '1' day, interval '1-2' year to month, '1 day'::interval, interval(3) '1 s'
-- @@
select count(*) filter (where a>1), string_agg(a, ',' order by b), array_agg(distinct x order by x desc nulls last)
-- @@
select percentile_cont(0.5) within group (order by x) from t
-- @@
select sum(x) over (order by b groups 2 preceding), lag(x) ignore nulls over () from t
-- @@
select * from t tablesample system (10)
-- @@
select * from generate_series(1,2) with ordinality as g(a,b)
-- @@
select * from rows from (generate_series(1,2), unnest(array[1])) as x(a,b)
-- @@
select * from a, lateral (select * from b where b.x=a.x) q, unnest(a.y) u(z)
-- @@
select * from json_to_recordset('[]') as x(a int, b text)
-- @@
select extract(epoch from x), substring(a from 1 for 2), position('a' in b), overlay(a placing b from 1 for 2), trim(both 'x' from y), trim(leading from y), date_part('year', x), substring(a, 1, 2), substring(a from 'x')
-- @@
select a is distinct from b, a is not distinct from b, a isnull, a notnull, a is unknown, a is not true, a between symmetric 1 and 2
-- @@
select a similar to 'x' escape '\', a like b escape '!', a ilike any (array['x']), a !~~ b, a ~* b
-- @@
select a->'b'->>'c', a#>'{x}', a #>> '{a}', a @> b, a <@ b, a ? 'x', a ?| array['x'], a ?& array['a'], a || b, a - 'x', a #- '{x}', a @? 'x', a @@ 'x'
-- @@
select current_date, current_timestamp, current_timestamp(3), localtime, current_user, session_user, user, current_schema, current_catalog, current_role
-- @@
select cast(a as numeric(10,2)), a::double precision, a::character varying(3), a::timestamp(3) with time zone, a::time without time zone, a::int[], a::int[][3], a::bit(3), a::"char", a::pg_catalog."char", a::timestamptz(2)
-- @@
select array[[1,2],[3,4]], array[]::int[], array(select 1)
-- @@
select distinct on (a, b) a from t order by a using <
-- @@
select 1 from t for update of t nowait
-- @@
select * from t limit all offset 3 rows
-- @@
select * from t fetch first 3 rows only
-- @@
select * from t fetch first row with ties
-- @@
table t
-- @@
values (1,2),(3,4) order by 1
-- @@
with recursive t(n) as (values (1) union all select n+1 from t) select * from t
-- @@
with t as materialized (select 1), u as not materialized (select 2) select * from t
-- @@
(select 1) union (select 2) order by 1 limit 1
-- @@
((select 1))
-- @@
select (select 1), exists (select 1), not exists(select 2)
-- @@
select case a when 1 then 2 else 3 end, case when x then y end, coalesce(a,b), nullif(a,b), greatest(a,b)
-- @@
select group_a, sum(x) from t group by grouping sets ((a),(b),()), rollup(a,b), cube(a,(b,c))
-- @@
select * from t natural join u cross join v full outer join w using (a,b) left join z on true
-- @@
select * from (a join b on a.x=b.x) as j
-- @@
select * from (values (1,2)) as v(a,b)
-- @@
select t.*, u.a as "Quoted", b alias, 1 "x" from public.t as t(a,b), only u
-- @@
select -1, +1, ~1, !!3, @ -5, |/ 4, ||/ 27, 5!, 2^3, 5 % 3, 1 # 2, 1 & 2, 1 | 2, 1 << 2
-- @@
select 1e10, .5, 1_000, 0x1F, 0b11, 1.
-- @@
select 'a' 'b'
-- @@
select 'a'
'b'
-- @@
select date '2020-01-01', timestamp '2020-01-01', timestamptz '2020', time '1:00', bool 't', json '{}', int '3', numeric '1', uuid 'x', float8 '1', text 'x', pg_catalog.int4 '3', timestamp with time zone '2020', double precision '3', jsonb '{}', bytea '\x00'
-- @@
select a collate "C" from t order by a collate "C" desc nulls first
-- @@
select f(variadic array[1]), f(a => 1), f(a := 2), f(all x), f(distinct x), count(*)
-- @@
select array_agg(x)[1], (select array[1])[1]
-- @@
select * from t where (a,b) in ((1,2),(3,4)) and (a,b) in (select 1,2) and a in (1) and a not in (select 1)
-- @@
select (1,2) overlaps (3,4)
-- @@
select * from xmltable('x' passing 'y' columns a int)
-- @@
insert into t as tt (a,b) values (1,default) on conflict (a) do update set b=excluded.b where true returning *, a as x
-- @@
insert into t default values
-- @@
insert into t values (1) on conflict do nothing
-- @@
update t set a=1, (b,c)=(2,3) from u where t.x=u.x returning t.*
-- @@
update only t as x set a = default
-- @@
delete from t using u where t.x=u.x returning *
-- @@
merge into t using u on t.a=u.a when matched then delete
-- @@
select $1, $2::text[]
-- @@
select a.b.c.d from a.b.c
-- @@
select * from t where a operator(pg_catalog.=) 3
-- @@
select not a and b or c
-- @@
select "a""b"
-- @@
select 1 as select
-- @@
select user, "user" from "user"
-- @@
select year, month, value, name, type, key, date, time, timestamp, text from t
-- @@
select values, index, source, format, first, last, status, level, position, data from t
-- @@
select left('a',1), right('a',1), replace('a','b','c'), row_number() over (), format('x'), insert(1), set(1), if(1)
-- @@
select interval, end_date, x.end from t
-- @@
select x.select, x.from, t.order from t
-- @@
select 1::int4range, int4range(1,2) * int4range(3,4)
-- @@
select p1 <-> p2
-- @@
select a, b from t order by a desc nulls last, 2 asc
-- @@
select s::date + 1, (s + interval '1 day')::date
-- @@
select timestamp '2020-01-01' + '1 day'::interval * 3
-- @@
select 'x'::varchar(3)[], 'x'::public.mytype(3), 'x'::"My Type"
-- @@
select nextval('s'::regclass), pg_catalog.pg_get_expr(d.adbin, d.adrelid, true)
-- @@
select a from t where b = '' union all select a from u except select 1 intersect select 2
-- @@
select all a from t
-- @@
select * from f(1) with ordinality
-- @@
select from t
-- @@
select 1 "int", 2 as int
-- @@
select current_setting('x') = 'y' is true
-- @@
select string_to_array(x,',')[1:2] from t
-- @@
select ($1).a
-- @@
select null::text, true and false, unknown
-- @@
select json_object('a': 1), json_array(1,2)
-- @@
select a from t group by all
-- @@
select a from t limit 1 offset 2 for share
-- @@
select a from t offset 2 limit 1
-- @@
select * from t as x cross join lateral generate_series(1,x.n) as g
-- @@
select ((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))
-- @@
select f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(1))))))))))))))))))))
-- @@
select case when case when case when case when case when case when case when case when case when case when a then b end then b end then b end then b end then b end then b end then b end then b end then b end then b end
-- @@
select (r).*, (f(x)).a
