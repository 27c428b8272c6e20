-- One of every statement and clause; separated by lines of '-- @@'.
-- @@
create connection k to kafka (broker 'a:1', security protocol 'x', sasl password secret s.x, ssl mode = require)
-- @@
create connection r to confluent schema registry (url 'http://h', password secret p)
-- @@
create connection p to postgres (host 'h', port 5432, user 'u', database 'd')
-- @@
create connection k to kafka (brokers ('a:1','b:2'))
-- @@
create secret s as 'x'
-- @@
create source s (a int not null, b text, primary key (a)) from kafka connection k (topic 't', start offset (0,10), start timestamp -3600000) key format text value format json include key as k, partition, offset, timestamp as ts, headers envelope upsert (value decoding errors = inline) with (x = 1)
-- @@
create source shop from kafka connection k (topic prefix 'shop', transaction topic 'shop.transaction') format json envelope debezium for tables (public.orders as orders (id bigint primary key, item text, qty int), public.stock as stock (item text primary key, on_hand int))
-- @@
create source pg from postgres connection p (publication 'pub') for all tables
-- @@
create source a from load generator auction (tick interval '1s', scale factor 1) for all tables
-- @@
create source w from webhook body format json include headers check (x = 1)
-- @@
create source f from file '/x' with (tail = true) format csv with 3 columns
-- @@
create source s from kafka connection k (topic 't') format avro using confluent schema registry connection r envelope debezium
-- @@
create sink k from mv into kafka connection k (topic 't') key (a) format json envelope upsert
-- @@
subscribe t
-- @@
subscribe to (select * from t) envelope upsert (key (a,b)) with (snapshot = false, progress) as of at least 5 up to 10
-- @@
tail t with (snapshot false) as of 12
-- @@
subscribe t within timestamp order by a desc, b
-- @@
copy (subscribe t with (progress)) to stdout
-- @@
copy t (a, b) from stdin with (format csv, header true, delimiter ';', null '')
-- @@
copy t from stdin csv header delimiter ','
-- @@
copy (select 1) to stdout
-- @@
declare c cursor for subscribe t
-- @@
declare c binary no scroll cursor with hold for select 1 as of 3
-- @@
fetch all c with (timeout = '1s')
-- @@
fetch 10 from c
-- @@
fetch c
-- @@
fetch forward 5 in c
-- @@
fetch next from c
-- @@
move forward all in c
-- @@
select * from t as of 5
-- @@
select * from t as of at least 5
-- @@
select 1 as of
-- @@
select * from t where a = 3 as of now() - 5
-- @@
create default index on v
-- @@
create index on v (a, lower(b) desc nulls last)
-- @@
create unique index if not exists i on v using btree (a)
-- @@
create or replace view v (a,b) as select 1, 2
-- @@
create materialized view if not exists mv as with x as (select 1) select * from x
-- @@
create view v as with mutually recursive a (x int) as (select 1 union all select x from b), b (x int) as (select * from a) select * from a
-- @@
explain select 1
-- @@
explain optimized plan for select 1
-- @@
explain timestamp for select 1
-- @@
explain (format json, analyze) select 1
-- @@
explain (select 1)
-- @@
explain analyze select 1
-- @@
explain physical plan for materialized view mv
-- @@
explain index i
-- @@
set transaction_isolation = 'strict serializable'
-- @@
set session characteristics as transaction isolation level read committed, read only
-- @@
set time zone 'UTC'
-- @@
set time zone interval '+02:00' hour to minute
-- @@
set search_path to a, "B", 'c'
-- @@
set extra_float_digits = 3
-- @@
set local x.y to default
-- @@
show transaction isolation level
-- @@
show search_path
-- @@
show tables from public like 'a%'
-- @@
show columns from t
-- @@
show create materialized view mv
-- @@
show all
-- @@
begin isolation level repeatable read read only
-- @@
begin transaction read write, deferrable
-- @@
prepare p (int) as select $1
-- @@
execute p (1, 'x')
-- @@
deallocate all
-- @@
drop materialized view if exists a, b.c cascade
-- @@
alter view v rename to w
-- @@
alter table t add column x int
-- @@
comment on view v is 'x'
-- @@
create table if not exists t (a int primary key, b numeric(10,2) not null default 3 + 1, c text unique, check (a > 0), primary key (a))
-- @@
create temp table t (a int)
-- @@
create table t (a serial, b timestamptz default now(), c varchar(3)[] null collate "C")
-- @@
grant select on t to u
-- @@
create function f() returns int as 'x' language sql
-- @@
rollback to savepoint a
-- @@
savepoint a
-- @@
discard all
-- @@
listen x
-- @@
notify x, 'y'
-- @@
unlisten *
-- @@
close all
-- @@
table t
-- @@
create view v as table t
-- @@
select * from (table t) x union table u
-- @@
select f(variadic array[1]), trim(leading from y), trim(from y), trim('x' from y) from rows from (f(1), g(2)) with ordinality as x(a,b) order by a using >
-- @@
select * from (((select 1))) x, only t
-- @@
select a between symmetric 3 and 1, a not between symmetric 1 and 2 and true
-- @@
select inet '::1', pg_catalog.int4 '3', (r).*, (f(1)).x
-- @@
update only t as x set a = 1
-- @@
insert into t values (1) returning *
-- @@
with x as (select 1) insert into t select * from x
