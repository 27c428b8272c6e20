-- function, arguments (separated by |), result; the session's zone is America/New_York
set time zone 'America/New_York';
create function pg_temp.try(name text, expression text, arguments text[]) returns text language sql as $$
  select concat_ws(E'\t', name, array_to_string(arguments, '|'),
    pg_temp.ask(format(expression, variadic array(select quote_literal(a) from unnest(arguments) a)))) $$;

with moment(m) as (select unnest(array['2024-02-29 12:34:56.789', '2024-01-31 00:00', '2023-12-31 23:59:59.999999', '2000-01-01', '1999-01-03 10:00', '0044-03-15 06:07:08 BC', '0001-01-01', '0001-12-31 BC', '2001-01-01', '1900-12-31',
    '2024-03-10 01:30', '2024-11-03 00:30', '12345-06-07 01:02:03', '4713-06-01 BC', '294276-12-31 23:00', 'infinity', '-infinity'])),
  span(s) as (select unnest(array['1 mon', '-1 mon', '1 year', '-13 mons', '1 day', '-400 days', '24:00:00', '-00:00:00.000001', '1 mon 1 day 01:02:03', '-1 mon +1 day -01:00', '300000 years', '100000000 days', '0']))
select pg_temp.try(f, e, array[m, s]) from (values ('timestamp+interval', '%s::timestamp + %s::interval'), ('timestamp-interval', '%s::timestamp - %s::interval'), ('timestamptz+interval', '%s::timestamptz + %s::interval')) as g(f, e), moment, span;

with moment(m) as (select unnest(array['2024-02-29 12:34:56.789', '2024-01-31 00:00', '2023-12-31 23:59:59.999999', '2000-01-01', '2000-03-01 13:00', '0044-03-15 06:07:08 BC', '2024-03-31', '2023-02-28', '1999-01-03 10:00', 'infinity'])), f(f, e) as (values
    ('timestamp-timestamp', '%s::timestamp - %s::timestamp'), ('age', 'age(%s::timestamp, %s::timestamp)'), ('date-date', '%s::date - %s::date'))
-- (The age of infinity is nonsense on that server: not asked.)
select pg_temp.try(f, e, array[a.m, b.m]) from f, moment a, moment b where f <> 'age' or 'infinity' not in (a.m, b.m);

with field(n) as (select unnest(array['microseconds', 'milliseconds', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'decade', 'century', 'millennium', 'dow', 'isodow', 'doy', 'isoyear', 'julian', 'epoch', 'timezone', 'timezone_hour', 'timezone_minute', 'MONTH', 'mons', 'foo', 'qtr', 'sec'])),
  moment(m) as (select unnest(array['2024-02-29 12:34:56.789', '2000-01-01', '2001-01-01', '1999-01-03 10:00', '2023-12-31 23:59:59.999999', '0044-03-15 06:07:08 BC', '0001-01-01', '0001-12-31 BC', '1900-12-31', '2024-07-01 00:30', '2024-12-30', '2021-01-03', '0100-05-05 BC', '0011-05-05 BC', 'infinity', '-infinity'])),
  f(f, e) as (values ('extract timestamp', 'extract(%s from %s::timestamp)'), ('extract timestamptz', 'extract(%s from %s::timestamptz)'), ('extract date', 'extract(%s from %s::date)'), ('trunc timestamp', 'date_trunc(%s, %s::timestamp)'), ('trunc timestamptz', 'date_trunc(%s, %s::timestamptz)'))
select pg_temp.try(f, e, array[n, m]) from f, field, moment;
with field(n) as (select unnest(array['microseconds', 'milliseconds', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'decade', 'century', 'millennium', 'dow', 'epoch', 'timezone', 'foo'])),
  span(s) as (select unnest(array['1 year 2 mons 3 days 04:05:06.789', '-1 year -2 mons -3 days -04:05:06.789', '1234 years 7 mons', '100:00:00', '-17 mons', '0', '25 days 30:00:00.000001'])),
  f(f, e) as (values ('extract interval', 'extract(%s from %s::interval)'), ('trunc interval', 'date_trunc(%s, %s::interval)'))
select pg_temp.try(f, e, array[n, s]) from f, field, span;
with field(n) as (select unnest(array['microseconds', 'milliseconds', 'second', 'minute', 'hour', 'day', 'epoch', 'foo']))
select pg_temp.try('extract time', 'extract(%s from %s::time)', array[n, t]) from field, unnest(array['12:34:56.789', '24:00']) t;

with span(s) as (select unnest(array['1 mon', '1 year 2 mons 3 days 04:05:06.789', '-1 mon +35 days -04:05', '29 days 25:00', '-3 days 73:00', '1 mon -1 day', '-1 mon -40 days -50:00', '35 days', '27:00:00', '-27:00:00', '1 mon -00:00:01', '0', '178956970 years', '2147483647 days', '-2147483647 days 48:00'])),
  f(f, e) as (values ('interval_negate', '- %s::interval'), ('justify_hours', 'justify_hours(%s::interval)'), ('justify_days', 'justify_days(%s::interval)'), ('justify_interval', 'justify_interval(%s::interval)'))
select pg_temp.try(f, e, array[s]) from f, span;
with span(s) as (select unnest(array['1 mon', '1 year 2 mons 3 days 04:05:06.789', '-1 mon +35 days -04:05', '1 day', '00:00:01', '178956970 years'])), factor(x) as (select unnest(array['2', '0.5', '1.5', '-3', '0.333333333333', '1e10', '0', 'NaN', 'Infinity', '7']))
select pg_temp.try(f, e, array[s, x]) from (values ('interval*float', '%s::interval * %s::float8'), ('interval/float', '%s::interval / %s::float8')) as g(f, e), span, factor;
with span(s) as (select unnest(array['1 mon', '1 year 2 mons 3 days 04:05:06.789', '-1 mon +35 days -04:05', '178956970 years', '2147483647 days']))
select pg_temp.try(f, e, array[a.s, b.s]) from (values ('interval+interval', '%s::interval + %s::interval'), ('interval-interval', '%s::interval - %s::interval')) as g(f, e), span a, span b;

select pg_temp.try('date+integer', '%s::date + %s::integer', array[d, n]) from unnest(array['2024-02-29', '5874897-12-31', '4714-11-24 BC', 'infinity']) d, unnest(array['1', '-1', '0', '2147483647']) n;
select pg_temp.try('date-integer', '%s::date - %s::integer', array[d, n]) from unnest(array['2024-02-29', '5874897-12-31', '4714-11-24 BC', 'infinity']) d, unnest(array['1', '-1', '2147483647']) n;
select pg_temp.try(f, e, array[d]) from (values ('date::timestamp', '%s::date::timestamp'), ('date::timestamptz', '%s::date::timestamptz')) as g(f, e), unnest(array['2024-07-29', '5874897-12-31', '4714-11-24 BC', 'infinity', '-infinity', '2024-03-10']) d;
select pg_temp.try(f, e, array[d]) from (values ('timestamptz::date', '%s::timestamptz::date'), ('timestamptz::time', '%s::timestamptz::time')) as g(f, e), unnest(array['2024-07-29 01:00+00', '1999-12-31 23:59:59.999999-05', '0044-03-15 00:00 BC']) d;
select pg_temp.try(f, e, array[t, s]) from (values ('time+interval', '%s::time + %s::interval'), ('time-interval', '%s::time - %s::interval')) as g(f, e), unnest(array['12:00', '23:59:59.5', '24:00']) t, unnest(array['1 hour', '-13:00', '1 day 02:00', '49:00']) s;
select pg_temp.try('date_bin', 'date_bin(%s::interval, %s::timestamp, %s::timestamp)', array[s, m, o]) from unnest(array['15 mins', '1 day', '1 mon', '0', '-1 day', '7 days 00:00:01']) s, unnest(array['2024-02-29 12:34:56.789', '1999-01-01', 'infinity']) m, unnest(array['2001-01-01', '2024-03-01 00:02:30']) o;
select pg_temp.try('make_date', 'make_date(%s, %s, %s)', string_to_array(a, ',')) from unnest(array['2024,2,29', '2023,2,29', '-44,3,15', '0,1,1', '2024,13,1', '2024,1,0', '5874898,1,1', '-4714,11,24', '-4714,11,23']) a;
select pg_temp.try('make_time', 'make_time(%s, %s, %s)', string_to_array(a, ',')) from unnest(array['8,15,23.5', '24,0,0', '24,0,1', '12,60,0', '12,0,60', '12,0,60.1', '-1,0,0', '25,0,0', '1,2,3.0000005', '1,2,NaN']) a;
select pg_temp.try('make_timestamp', 'make_timestamp(%s, %s, %s, %s, %s, %s)', string_to_array(a, ',')) from unnest(array['2024,2,29,8,15,23.5', '2023,2,29,0,0,0', '-44,3,15,1,2,3', '2024,1,1,24,0,0', '2024,1,1,25,0,0', '294277,1,1,0,0,0']) a;
-- (Years that overflow wrap round on that server: not asked.)
select pg_temp.try('make_interval', 'make_interval(%s, %s, %s, %s, %s, %s, %s)', string_to_array(a, ',')) from unnest(array['1,2,3,4,5,6,7.5', '0,-1,0,0,0,0,-0.5', '0,0,0,0,0,0,NaN', '0,0,0,0,100000,0,0.0000015']) a;
select pg_temp.try('to_timestamp', 'to_timestamp(%s::float8)', array[a]) from unnest(array['0', '1709210096.789', '-1', '1e18', 'Infinity', '-Infinity', 'NaN', '0.0000005', '1e10']) a;
select pg_temp.try('timestamp at zone', '%s::timestamp at time zone %s', array[m, z]) from unnest(array['2024-07-01 12:00', '2024-03-10 02:30', '2024-11-03 01:30', '2024-03-31 02:30', '2024-10-27 02:30', '2100-07-01 12:00']) m,
  unnest(array['UTC', 'America/New_York', 'europe/berlin', 'PST', '+02', '-05:30', 'EST5EDT', 'GMT+3', 'XYZ+3:30', 'Asia/Kolkata', 'Nowhere/City', '<foo>-2', 'JST', 'utc', 'Z', '5', 'CET']) z;
select pg_temp.try('timestamptz at zone', '%s::timestamptz at time zone %s', array[m, z]) from unnest(array['2024-07-01 12:00', '1850-01-01 00:00+00', '2100-07-01 12:00', '3000-01-01 00:00', 'infinity']) m,
  unnest(array['UTC', 'America/New_York', 'europe/berlin', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/Sao_Paulo']) z;
