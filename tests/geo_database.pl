#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Writes databases for tests: geo_database.pl COUNTRIES ASNS. Documentation and loopback
# addresses only; private country codes, so that nobody reads a message into them.
use strict;
use warnings;
use MaxMind::DB::Writer::Tree;

my %types = (
    country                        => 'map',
    iso_code                       => 'utf8_string',
    autonomous_system_number       => 'uint32',
    autonomous_system_organization => 'utf8_string',
);

sub write_tree {
    my ($file, $type, %networks) = @_;
    my $tree = MaxMind::DB::Writer::Tree->new(
        ip_version               => 6,
        record_size              => 24,
        database_type            => $type,
        languages                => ['en'],
        description              => { en => 'for tests' },
        remove_reserved_networks => 0,
        map_key_type_callback    => sub { $types{ $_[0] } },
    );
    $tree->insert_network($_, $networks{$_}) for sort keys %networks;
    open my $out, '>:raw', $file or die "$file: $!";
    $tree->write_tree($out);
    close $out or die "$file: $!";
}

sub country { return { country => { iso_code => shift } } }

sub asn {
    return { autonomous_system_number => shift, autonomous_system_organization => 'Test' };
}

write_tree(
    $ARGV[0], 'GeoLite2-Country',
    '::127.0.2.0/120'   => country('XA'),
    '::127.0.3.0/120'   => country('XB'),
    '::203.0.113.0/120' => country('XA'),
    '2001:db8:a::/48'   => country('XC'),
    '::198.51.100.0/120' => country('toolong'),
);
write_tree(
    $ARGV[1], 'GeoLite2-ASN',
    '::127.0.2.0/121'   => asn(64500),
    '::127.0.3.0/120'   => asn(64501),
    '::203.0.113.0/120' => asn(64500),
    '2001:db8:a::/48'   => asn(4200000001),
);
